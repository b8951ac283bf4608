import { dualKeys } from "../../generate/watermark/gumbel.js";
import { HfKgwWatermark } from "../../generate/watermark/hf-kgw.js";
import { HfSynthIdWatermark } from "../../generate/watermark/hf-synthid.js";
import { keyBits } from "../../generate/watermark/key.js";
import type { WatermarkSettings } from "../../generate/watermark/options.js";
import { ContextWords } from "../../generate/watermark/philox.js";
import { isGreen } from "../../generate/watermark/red-green.js";
import { kgwTest, synthIdTest } from "./hf-evidence.js";
import { logBinomialTail, logGammaTail, logTwoGammaTail } from "./tails.js";

/** The evidence of a text's tokens for a mark. */
export interface Evidence {
  /** Number of scored tokens. */
  readonly scored: number;
  /** Number of tokens left out because their context (for hf-kgw, their n-gram) occurred before. */
  readonly repeated: number;
  /** The scheme's statistic: see {@link WatermarkReport.score}. */
  readonly score: number;
  /** ln of the probability that a text without the mark scores at least as high. */
  readonly logPValue: number;
  /** For hf-kgw: transformers' z-score, with each n-gram counted once. */
  readonly zScore?: number;
  /** For hf-synthid: the mean g with weights that fall from the first round to a tenth in the last. */
  readonly weightedMean?: number;
}

/** @param vocabSize the model's */
export async function evidenceTest(
  settings: WatermarkSettings,
  vocabSize: number,
): Promise<(tokens: readonly number[]) => Evidence> {
  if (settings.scheme === "hf-synthid") return synthIdTest(new HfSynthIdWatermark(settings));
  const key = await keyBits(settings.key);
  if (settings.scheme === "hf-kgw")
    return kgwTest(new HfKgwWatermark(key, settings, vocabSize), vocabSize, settings.gamma);
  const width = settings.contextWidth;
  switch (settings.scheme) {
    case "gumbel": {
      const words = new ContextWords(key);
      return (tokens) =>
        summed(
          scores(tokens, width, (context, token) => surprise(words.seek(context), token)),
          logGammaTail,
        );
    }
    case "dual-key-gumbel": {
      const [a, b] = (await dualKeys(key)).map((k) => new ContextWords(k)) as [ContextWords, ContextWords];
      const { alpha } = settings;
      const score = (context: Int32Array, token: number) =>
        (1 - alpha) * surprise(a.seek(context), token) + alpha * surprise(b.seek(context), token);
      return (tokens) => summed(scores(tokens, width, score), (n, x) => logTwoGammaTail(n, alpha, x));
    }
    case "red-green": {
      const words = new ContextWords(key);
      const { gamma } = settings;
      const green = (context: Int32Array, token: number) => (isGreen(words.seek(context), token, gamma) ? 1 : 0);
      return (tokens) => summed(scores(tokens, width, green), (n, count) => logBinomialTail(count, n, gamma));
    }
    case "synthid": {
      const words = new ContextWords(key);
      const { depth } = settings;
      const bits = (context: Int32Array, token: number) => ones(words.seek(context).word(token), depth);
      return (tokens) => {
        const { score, ...rest } = summed(scores(tokens, width, bits), (n, count) =>
          logBinomialTail(count, n * depth, 0.5),
        );
        return { ...rest, score: rest.scored === 0 ? 0 : score / (rest.scored * depth) };
      };
    }
  }
}

/** -log(1 - u): exponentially distributed without a mark, larger with it. */
const surprise = (words: ContextWords, token: number): number => -Math.log1p(-words.uniform(token));

/** The number of ones among the lower bits. */
function ones(word: number, bits: number): number {
  let count = 0;
  for (let i = 0; i < bits; i++) count += (word >>> i) & 1;
  return count;
}

/** The score of each token whose context has not occurred before. */
function scores(
  tokens: readonly number[],
  width: number,
  score: (context: Int32Array, token: number) => number,
): { readonly values: number[]; readonly repeated: number } {
  const context = new Int32Array(width).fill(-1);
  const seen = new Set<string>();
  const values: number[] = [];
  for (const token of tokens) {
    const name = context.join();
    if (!seen.has(name)) values.push(score(context, token));
    seen.add(name);
    context.copyWithin(0, 1);
    context[width - 1] = token;
  }
  return { values, repeated: tokens.length - values.length };
}

function summed(
  { values, repeated }: ReturnType<typeof scores>,
  logTail: (n: number, sum: number) => number,
): Evidence {
  const score = values.reduce((sum, x) => sum + x, 0);
  return { scored: values.length, repeated, score, logPValue: values.length === 0 ? 0 : logTail(values.length, score) };
}
