import type { GeneratedToken } from "../../generate/generate.js";
import type { GenerateOptions } from "../../generate/options.js";

/** What writes samples; {@link GPT2} does. */
export interface SamplingModel {
  generate(prompt: string, options: GenerateOptions): AsyncIterable<GeneratedToken>;
}

export interface SampleTextsOptions extends Omit<GenerateOptions, "samples"> {
  readonly samples: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** Told how many tokens there are, of at most how many. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
}

/** Texts that are written side by side. */
const GROUP = 32;

/**
 * Texts that a model writes without a prompt. The group of samples number g is what `samples: 32, seed: seed + g` gives,
 * so that any of them can be had again.
 */
export async function sampleTexts(
  model: SamplingModel,
  { samples, seed, onProgress, ...options }: SampleTextsOptions,
): Promise<string[]> {
  const texts: string[] = [];
  let tokens = 0;
  for (let group = 0; texts.length < samples; group++) {
    const some = new Array<string>(Math.min(GROUP, samples - texts.length)).fill("");
    for await (const { sample, text } of model.generate("", {
      ...options,
      samples: some.length,
      seed: seed + group,
    })) {
      some[sample] += text;
      onProgress?.(++tokens, samples * options.maxNewTokens);
    }
    texts.push(...some);
  }
  return texts;
}
