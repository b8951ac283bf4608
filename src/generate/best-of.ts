import { UsageError } from "../errors.js";

/** The `count` texts of the highest mean log-probability a token, best first; the first among equals. */
export function bestOf<Text>(
  texts: readonly Text[],
  count: number,
  logprobsOf: (text: Text) => readonly (number | null)[],
): Text[] {
  const mean = (text: Text): number => {
    const logprobs = logprobsOf(text);
    return logprobs.reduce<number>((sum, logprob) => sum + (logprob ?? 0), 0) / Math.max(1, logprobs.length);
  };
  return texts
    .map((text) => ({ text, mean: mean(text) }))
    .sort((a, b) => b.mean - a.mean)
    .slice(0, count)
    .map(({ text }) => text);
}

/** @throws {UsageError} fewer to choose from than are wanted. */
export function checkBestOf(value: number, samples: number): void {
  if (Number.isSafeInteger(value) && value >= samples) return;
  throw new UsageError({ op: "bestOf", expected: `an integer from ${samples}, the samples, on`, got: String(value) });
}
