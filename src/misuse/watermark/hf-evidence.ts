import type { HfKgwWatermark } from "../../generate/watermark/hf-kgw.js";
import { ContextHistory, type HfSynthIdWatermark } from "../../generate/watermark/hf-synthid.js";
import type { Evidence } from "./evidence.js";
import { logBinomialTail } from "./tails.js";

type Test = (tokens: readonly number[]) => Evidence;

/** Numbers of n-grams, and of green ones. */
export interface GreenCount {
  readonly scored: number;
  readonly green: number;
}

/** Counts like transformers' WatermarkDetector: all n-grams, or with `once` each different one once. */
export function countGreen(watermark: HfKgwWatermark, tokens: readonly number[], once: boolean): GreenCount {
  const n = watermark.ngramLength;
  const known = new Map<string, boolean>();
  let scored = 0;
  let green = 0;
  for (let end = n; end <= tokens.length; end++) {
    const ngram = tokens.slice(end - n, end);
    const name = ngram.join();
    let isGreen = known.get(name);
    if (isGreen !== undefined && once) continue;
    if (isGreen === undefined) known.set(name, (isGreen = watermark.isGreen(ngram)));
    scored++;
    if (isGreen) green++;
  }
  return { scored, green };
}

/** transformers' z-score: standard deviations above the expected share gamma. */
export const zScoreOf = ({ scored, green }: GreenCount, gamma: number): number =>
  (green - gamma * scored) / Math.sqrt(scored * gamma * (1 - gamma));

export function kgwTest(watermark: HfKgwWatermark, vocabSize: number, gamma: number): Test {
  return (tokens) => {
    const count = countGreen(watermark, tokens, true);
    const { scored, green } = count;
    return {
      scored,
      repeated: Math.max(0, tokens.length - watermark.ngramLength + 1) - scored,
      score: green,
      logPValue: logBinomialTail(green, scored, watermark.greenCount / vocabSize),
      zScore: scored === 0 ? 0 : zScoreOf(count, gamma),
    };
  };
}

/** The bits g of every round for an n-gram of a text, and whether its context occurred before. */
export interface GValues {
  readonly g: Uint8Array;
  readonly repeated: boolean;
}

/** Like transformers' compute_g_values and compute_context_repetition_mask. */
export function gValues(watermark: HfSynthIdWatermark, tokens: readonly number[], historySize: number): GValues[] {
  const n = watermark.ngramLength;
  const history = new ContextHistory(historySize);
  const values: GValues[] = [];
  for (let end = n; end <= tokens.length; end++) {
    const context = watermark.hashOf(tokens.slice(end - n, end - 1));
    values.push({ g: watermark.gOf(context, tokens[end - 1]!), repeated: history.add(context) });
  }
  return values;
}

export function synthIdTest(watermark: HfSynthIdWatermark): Test {
  const { depth } = watermark;
  return (tokens) => {
    // A context counts as seen however long ago: otherwise a text repeated many times would add evidence.
    const values = gValues(watermark, tokens, Number.MAX_SAFE_INTEGER);
    const kept = values.filter(({ repeated }) => !repeated);
    const byRound = Array.from({ length: depth }, (_, round) => kept.reduce((sum, { g }) => sum + g[round]!, 0));
    const ones = byRound.reduce((sum, x) => sum + x, 0);
    const scored = kept.length;
    return {
      scored,
      repeated: values.length - scored,
      score: scored === 0 ? 0 : ones / (scored * depth),
      logPValue: logBinomialTail(ones, scored * depth, watermark.mean),
      weightedMean: scored === 0 ? 0 : weightedSum(byRound) / (scored * depth),
    };
  };
}

/** Weights with mean 1 that fall to a tenth: later rounds have less left to choose, and so carry less evidence. */
function weightedSum(byRound: readonly number[]): number {
  const depth = byRound.length;
  const weight = (round: number) => (depth === 1 ? 10 : 10 - (9 * round) / (depth - 1));
  const mean = byRound.reduce((sum, _, round) => sum + weight(round), 0) / depth;
  return byRound.reduce((sum, x, round) => sum + (x * weight(round)) / mean, 0);
}
