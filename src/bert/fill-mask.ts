import { TokenizerError, UsageError } from "../errors.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { FilledMask } from "./options.js";
import { largestIndices, softmax } from "./probabilities.js";

/** Token ids of target words. @throws {UsageError} a word is not one token of the vocabulary. */
export function targetIds(tokenizer: EncoderTokenizer, targets: readonly string[]): number[] {
  return [...new Set(targets.map((target) => targetId(tokenizer, target)))];
}

function targetId(tokenizer: EncoderTokenizer, target: string): number {
  const id = tokenizer.idOf(target);
  if (id !== undefined) return id;
  const { ids } = tokenizer.encode(target, { addSpecialTokens: false });
  if (ids.length === 1 && ids[0] !== tokenizer.idOf("[UNK]")) return ids[0]!;
  const pieces = Array.from(ids, (id) => tokenizer.decode([id]));
  const got = `${JSON.stringify(target)}, which is ${pieces.join(" ") || "nothing"}`;
  throw new UsageError({ op: "filling a mask: target", expected: "one token of the vocabulary", got });
}

/**
 * The most probable tokens at one mask.
 *
 * @param ids the whole text's
 * @param at the mask's index
 * @param skipSpecial leave special tokens out of `sequence`
 */
export function filledMasks(
  tokenizer: EncoderTokenizer,
  ids: ArrayLike<number>,
  at: number,
  logits: Float32Array,
  { topK, targets, skipSpecial }: { topK: number; targets: readonly number[] | undefined; skipSpecial: boolean },
): FilledMask[] {
  const probabilities = softmax(logits);
  const candidates = targets ?? Array.from(probabilities.keys());
  const scores = targets ? targets.map((id) => probabilities[id]!) : probabilities;
  return largestIndices(scores, Math.min(topK, candidates.length)).map((i) => {
    const token = candidates[i]!;
    const text = textOf(tokenizer, token);
    const filled = Array.from(ids);
    filled.splice(at, 1, ...(text === undefined ? [] : [token]));
    const sequence = tokenizer.decode(filled, { skipSpecialTokens: skipSpecial });
    return { score: scores[i]!, token, token_str: text ?? "", sequence };
  });
}

/** Undefined for rows of the model beyond its tokenizer's vocabulary, which transformers reads as nothing. */
function textOf(tokenizer: EncoderTokenizer, token: number): string | undefined {
  try {
    return tokenizer.decode([token]);
  } catch (error) {
    if (error instanceof TokenizerError) return undefined;
    throw error;
  }
}
