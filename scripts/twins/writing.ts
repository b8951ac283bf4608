import { largestIndices, softmax } from "../../src/bert/probabilities.js";
import type { BERT } from "../../src/bert.js";
import type { GPT2 } from "../../src/gpt2.js";
import { sentences } from "../../src/tasks/sentences.js";
import { RandomStream } from "../../src/util/random.js";
import { heldOutDocuments } from "./corpus.js";

/** Length of a continuation, in tokens. */
export const WRITTEN = 40;
const TOP_K = 40;
const PROMPT_WORDS = 12;

/** The beginning of a held-out text, and its continuation. */
export interface Opening {
  readonly prompt: string;
  readonly next: string;
}

export function openings(stories: string, count: number): Opening[] {
  const documents = heldOutDocuments(stories);
  const step = Math.max(1, Math.floor(documents.length / count));
  return documents
    .filter((_, i) => i % step === 0)
    .map((text) => sentences(text).join(" ").split(" "))
    .filter(({ length }) => length > 80)
    .slice(0, count)
    .map((words) => ({
      prompt: words.slice(0, PROMPT_WORDS).join(" "),
      next: ` ${words.slice(PROMPT_WORDS, 80).join(" ")}`,
    }));
}

/** A continuation of each opening. */
export interface WritingResult {
  readonly greedy: readonly string[];
  readonly sampled: readonly string[];
}

export async function writtenByGpt2(model: GPT2, given: readonly Opening[]): Promise<WritingResult> {
  const write = async (settings: { temperature: number; topK?: number }): Promise<string[]> => {
    const texts: string[] = [];
    for (const [i, { prompt }] of given.entries()) {
      const { text } = await model.complete(prompt, { ...settings, maxNewTokens: WRITTEN, seed: i });
      texts.push(text);
    }
    return texts;
  };
  return { greedy: await write({ temperature: 0 }), sampled: await write({ temperature: 1, topK: TOP_K }) };
}

/** Continuations by a BERT: one mask after another becomes a token, as in `gpt2 compare`. */
export async function writtenByBert(model: BERT, given: readonly Opening[]): Promise<WritingResult> {
  return { greedy: await write(model, given, 1), sampled: await write(model, given, TOP_K) };
}

async function write(model: BERT, given: readonly Opening[], topK: number): Promise<string[]> {
  const tokenizer = model.tokenizer!;
  const [mask, V] = [tokenizer.idOf(tokenizer.maskToken)!, model.config.vocabSize];
  const special = new Set(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "<|endoftext|>"].map((text) => tokenizer.idOf(text)));
  const encoded = given.map(({ prompt }) => tokenizer.encode(prompt).ids);
  const texts = encoded.map((ids, i) => ({ ids: [...ids], from: ids.length - 1, random: new RandomStream(i) }));
  for (let n = 0; n < WRITTEN; n++) {
    const masked = texts.map(({ ids }) => {
      const all = [...ids.slice(0, -1), mask, ids.at(-1)!];
      return { ids: Uint32Array.from(all), typeIds: new Uint8Array(all.length), rows: [all.length - 2] };
    });
    const logits = await model.maskedLogits(masked);
    for (const [i, { ids, random }] of texts.entries()) {
      const own = logits[i]!.subarray(0, V).map((logit, id) => (special.has(id) ? Number.NEGATIVE_INFINITY : logit));
      const kept = largestIndices(own, topK);
      const odds = softmax(Float32Array.from(kept, (id) => own[id]!));
      let at = random.uniform();
      const drawn = kept.find((_, k) => (at -= odds[k]!) < 0) ?? kept[0]!;
      ids.splice(-1, 0, drawn);
    }
  }
  return texts.map(({ ids, from }) => tokenizer.decode(ids.slice(from, -1)));
}

/** Share of distinct runs of n words and punctuation marks in a text: 1 if none repeats. */
export function distinctShare(text: string, n: number): number {
  const words = text.toLowerCase().match(/[\p{L}\p{N}’']+|[^\s\p{L}\p{N}]/gu) ?? [];
  const runs = words.slice(0, Math.max(0, words.length - n + 1)).map((_, i) => words.slice(i, i + n).join(" "));
  return runs.length === 0 ? 1 : new Set(runs).size / runs.length;
}
