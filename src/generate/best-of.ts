import { UsageError } from "../errors.js";
import { checkSamples, MOST_SAMPLES } from "./options.js";

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

/** @throws {UsageError} fewer texts to choose from than requested, or too many. */
export function checkBestOf(value: number, samples: number): void {
  checkSamples(samples);
  if (Number.isSafeInteger(value) && value >= samples && value <= MOST_SAMPLES) return;
  const expected = `an integer from ${samples}, the samples, to ${MOST_SAMPLES}`;
  throw new UsageError({ op: "bestOf", expected, got: String(value) });
}
