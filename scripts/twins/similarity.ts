import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { bootstrap, type Interval } from "../../src/evaluate/metrics/metric.js";
import { meanStates, type Twin } from "./twin.js";

export interface SentencePair {
  readonly score: number;
  readonly texts: readonly [string, string];
}

/** Pairs of STS-B with human judgements from 0 to 5. */
export function sentencePairs(folder: string, names = ["sts-dev.tsv.gz", "sts-test.tsv.gz"]): SentencePair[] {
  return names
    .map((name) => gunzipSync(readFileSync(join(folder, "sts-b-open", name))).toString())
    .flatMap((text) => text.trimEnd().split("\n"))
    .map((line) => line.split("\t"))
    .map(([, , , , score, a, b]) => ({ score: Number(score), texts: [a!, b!] }));
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** The cosine of each pair's vectors, the means of their final hidden states, without training. */
export async function cosines(twin: Twin, pairs: readonly SentencePair[]): Promise<number[]> {
  const texts = pairs.flatMap((pair) => pair.texts);
  const vectors = await meanStates(twin, texts, true);
  return pairs.map((_, i) => dot(vectors[2 * i]!, vectors[2 * i + 1]!));
}

/** The same cosine for vectors of words, without any model. */
export function wordCosines(pairs: readonly SentencePair[]): number[] {
  return pairs.map(({ texts }) => {
    const [a, b] = texts.map((text) => new Set(text.toLowerCase().match(/\p{L}+|\d+/gu))) as [Set<string>, Set<string>];
    return [...a].filter((word) => b.has(word)).length / Math.max(1, Math.sqrt(a.size * b.size));
  });
}

function pearson(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  const centred = [xs, ys].map((values) => {
    const all = Float64Array.from(values);
    const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
    return all.map((x) => x - mean);
  });
  const [a, b] = centred as [Float64Array, Float64Array];
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Equal values get the mean of their ranks. */
function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => values[a]! - values[b]!);
  const found = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) found[order[i]!] = (from + to - 1) / 2;
    from = to;
  }
  return found;
}

export const spearman = (xs: readonly number[], ys: readonly number[]): number => pearson(ranks(xs), ranks(ys));

export interface Correlation {
  readonly value: number;
  readonly interval: Interval;
}

/** Spearman's correlation, the mean over models, with its interval over pairs. */
export function correlation(models: readonly (readonly number[])[], scores: readonly number[]): Correlation {
  const of = (indices: readonly number[]): number => {
    const own = indices.map((i) => scores[i]!);
    const each = models.map((values) =>
      spearman(
        indices.map((i) => values[i]!),
        own,
      ),
    );
    return each.reduce((sum, x) => sum + x, 0) / each.length;
  };
  const value = of([...scores.keys()]);
  return { value, interval: bootstrap(scores.length, (indices) => of(Array.from(indices))) };
}
