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
  return eachScored(ids, texts, options, async (tokens, { all, from, ...settings }) => {
    const logprobs = await scoreTokens(scheduler, all, from, { ...settings, adapter });
    return scoreOf(tokens, logprobs, ids.tokenizer?.decodeBytes(tokens).length);
  });
}

/** A text after the context that all texts have: tokens [from, all.length) of `all`; and the settings of a run over it. */
export interface ScoredText {
  readonly all: number[];
  readonly from: number;
  readonly stride: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (tokens: number) => void;
}

/** Runs texts one after another, with checked options and progress over the tokens of all of them. */
export async function eachScored<T>(
  ids: TextIds,
  texts: readonly TextOrIds[],
  { context: given, stride: step, signal, onProgress }: Omit<ScoreOptions, "adapter">,
  run: (tokens: number[], text: ScoredText) => Promise<T>,
): Promise<T[]> {
  const stride = checkedStride(step, ids.nCtx);
  const context = ids.scoreContext(given);
  const encoded = texts.map((text) => ids.encodeScored(text));
  const results: T[] = [];
  let done = 0;
  for (const tokens of encoded) {
    const before = done;
    const settings = { stride, signal, onProgress: (count: number) => onProgress?.(before + count) };
    results.push(await run(tokens, { all: [...context, ...tokens], from: context.length, ...settings }));
    done += tokens.length;
  }
  return results;
}

function scoreOf(tokens: readonly number[], logprobs: Float64Array, bytes: number | undefined): Score {
  const logprob = logprobs.reduce((sum, x) => sum + x, 0);
  const perplexity = Math.exp(-logprob / tokens.length);
  const bitsPerByte = bytes === undefined ? undefined : -logprob / Math.LN2 / bytes;
  return { tokens, logprobs, logprob, perplexity, bytes, bitsPerByte };
}

function checkedStride(stride: number | undefined, nCtx: number): number {
  if (stride === undefined) return Math.max(1, nCtx >> 1);
  if (Number.isInteger(stride) && stride >= 1 && stride <= nCtx) return stride;
  throw new UsageError({ op: "stride", expected: `an integer from 1 to ${nCtx}`, got: String(stride) });
}
