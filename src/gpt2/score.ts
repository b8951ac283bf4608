import { UsageError } from "../errors.js";
import type { GenerationModel } from "../generate/generate.js";
import { scoreTokens } from "../generate/score.js";
import type { TextOrIds } from "../model/options.js";
import type { TextIds } from "../model/text-ids.js";
import { checkOptionNames } from "../util/nearest.js";
import type { Score, ScoreOptions } from "./options.js";

/** See `GPT2.score`: several texts one after another, each with the same context. */
export async function scoreTexts(
  { scheduler, adapter }: GenerationModel,
  ids: TextIds,
  texts: readonly TextOrIds[],
  options: ScoreOptions,
): Promise<Score[]> {
  checkOptionNames("scoring", options, {
    context: true,
    stride: true,
    adapter: true,
    signal: true,
    onProgress: true,
  });
  const stride = checkedStride(options.stride, ids.nCtx);
  const { signal, onProgress } = options;
  const context = ids.scoreContext(options.context);
  const encoded = texts.map((text) => ids.encodeScored(text));
  const scores: Score[] = [];
  let done = 0;
  for (const tokens of encoded) {
    const progress = (count: number): void => onProgress?.(done + count);
    const settings = { stride, signal, onProgress: progress, adapter };
    const logprobs = await scoreTokens(scheduler, [...context, ...tokens], context.length, settings);
    scores.push(scoreOf(tokens, logprobs, ids.tokenizer?.decodeBytes(tokens).length));
    done += tokens.length;
  }
  return scores;
}

function scoreOf(tokens: readonly number[], logprobs: Float64Array, bytes: number | undefined): Score {
  const logprob = logprobs.reduce((sum, x) => sum + x, 0);
  const perplexity = Math.exp(-logprob / tokens.length);
  const bitsPerByte = bytes === undefined ? undefined : -logprob / Math.LN2 / bytes;
  return { tokens, logprobs, logprob, perplexity, bytes, bitsPerByte };
}

export function checkedStride(stride: number | undefined, nCtx: number): number {
  if (stride === undefined) return Math.max(1, nCtx >> 1);
  if (Number.isInteger(stride) && stride >= 1 && stride <= nCtx) return stride;
  throw new UsageError({ op: "stride", expected: `an integer from 1 to ${nCtx}`, got: String(stride) });
}
