import type { GenerateOptions } from "../../src/generate/options.js";
import type { GPT2 } from "../../src/gpt2.js";

export interface Text {
  readonly tokens: readonly number[];
  /** Log-probabilities under the model's own distribution. */
  readonly logprobs: readonly number[];
}

/** Continues each prompt, `batch` of them side by side. */
export async function writeTexts(
  model: GPT2,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
  batch: number,
): Promise<Text[]> {
  const texts: Text[] = [];
  for (let start = 0; start < prompts.length; start += batch) {
    const part = prompts.slice(start, start + batch);
    texts.push(
      ...(await Promise.all(
        part.map((prompt, i) => model.complete(prompt, { ...options, stopAtEndOfText: false, seed: start + i })),
      )),
    );
  }
  return texts;
}

/** Share of distinct n-grams in a text, averaged over texts. */
export function distinct(texts: readonly Text[], n: number): number {
  const shares = texts.map(({ tokens }) => {
    const grams = Array.from({ length: tokens.length - n + 1 }, (_, i) => tokens.slice(i, i + n).join());
    return new Set(grams).size / grams.length;
  });
  return shares.reduce((sum, x) => sum + x, 0) / shares.length;
}

export interface PerplexityOfTexts {
  readonly value: number;
  /** The 95% interval over texts. */
  readonly low: number;
  readonly high: number;
}

/** exp of the mean loss. */
export function perplexity(texts: readonly Text[]): PerplexityOfTexts {
  const losses = texts.map(({ logprobs }) => -logprobs.reduce((sum, x) => sum + x, 0) / logprobs.length);
  const mean = losses.reduce((sum, x) => sum + x, 0) / losses.length;
  const variance = losses.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (losses.length - 1);
  const half = 1.96 * Math.sqrt(variance / losses.length);
  return { value: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}
