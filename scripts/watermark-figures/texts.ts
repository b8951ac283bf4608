import type { Engine } from "../../src/generate/engine.js";
import { Sampler } from "../../src/generate/sampler.js";
import { openWatermark } from "../../src/generate/watermark/open.js";
import { type WatermarkOptions, watermarkSettings } from "../../src/generate/watermark/options.js";
import { type SamplingOptions, samplingSettings } from "../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../src/util/random.js";

export interface Text {
  readonly tokens: number[];
  /** Under the model's own distribution. */
  readonly logprobs: number[];
}

export interface TextsOptions {
  readonly prompts: readonly (readonly number[])[];
  readonly length: number;
  readonly sampling: SamplingOptions;
  readonly vocabLimit: number;
  readonly watermark: WatermarkOptions | undefined;
  /** Texts that grow in the same runs. */
  readonly batch: number;
}

/** Continues each prompt by `length` tokens, whatever they are. */
export async function writeTexts(engine: Engine, options: TextsOptions): Promise<Text[]> {
  const { prompts, length, batch, watermark } = options;
  const settings = samplingSettings(options.sampling);
  const opened = watermark && (await openWatermark(watermarkSettings(watermark), engine.config.vocabSize));
  const texts: Text[] = [];
  for (let start = 0; start < prompts.length; start += batch) {
    const part = prompts.slice(start, start + batch).map((prompt, i) => ({
      prompt,
      sequence: engine.sequence(),
      sampler: new Sampler(settings, options.vocabLimit, new RandomStream(start + i), opened?.mark(prompt, 0)),
      text: { tokens: [], logprobs: [] } as Text,
    }));
    for (let step = 0; step < length; step++) {
      const extensions = part.map(({ sequence, prompt, text }) => ({
        sequence,
        tokens: step === 0 ? prompt : text.tokens.slice(-1),
      }));
      await engine.extend(extensions, (row, i) => {
        const { token, logprob } = part[i]!.sampler.sample(row);
        part[i]!.text.tokens.push(token);
        part[i]!.text.logprobs.push(logprob);
      });
    }
    for (const { sequence, text } of part) {
      sequence.release();
      texts.push(text);
    }
  }
  return texts;
}

/** Mean over texts of the share of a text's n-grams that differ. */
export function distinct(texts: readonly Text[], n: number): number {
  const shares = texts.map(({ tokens }) => {
    const grams = Array.from({ length: tokens.length - n + 1 }, (_, i) => tokens.slice(i, i + n).join());
    return new Set(grams).size / grams.length;
  });
  return shares.reduce((sum, x) => sum + x, 0) / shares.length;
}

/** exp of the mean loss, and a 95% interval by texts. */
export function perplexity(texts: readonly Text[]): {
  readonly value: number;
  readonly low: number;
  readonly high: number;
} {
  const losses = texts.map(({ logprobs }) => -logprobs.reduce((sum, x) => sum + x, 0) / logprobs.length);
  const mean = losses.reduce((sum, x) => sum + x, 0) / losses.length;
  const variance = losses.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (losses.length - 1);
  const half = 1.96 * Math.sqrt(variance / losses.length);
  return { value: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}
