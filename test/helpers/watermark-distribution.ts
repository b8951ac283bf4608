import { Sampler } from "../../src/generate/sampler.js";
import { openWatermark } from "../../src/generate/watermark/open.js";
import {
  type WatermarkOptions,
  type WatermarkScheme,
  watermarkSettings,
} from "../../src/generate/watermark/options.js";
import { samplingSettings } from "../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../src/util/random.js";

/** A model of seven tokens in which the distribution of the second token depends on the first. */
const PROBABILITIES = [0.3, 0.2, 0.16, 0.12, 0.1, 0.07, 0.05];
const after = (first: number) => PROBABILITIES.map((_, i) => PROBABILITIES[(i + first) % 7]!);

/** Pearson's χ² of the first two tokens of a text under many keys, against the model's own distribution of pairs. */
export async function chiSquareOverKeys(
  scheme: WatermarkScheme,
  keys: number,
): Promise<{ readonly chi2: number; readonly freedom: number }> {
  const settings = samplingSettings({ temperature: 1, topK: 0 });
  const counts = new Float64Array(49);
  for (let key = 0; key < keys; key++) {
    const watermark = await openWatermark(watermarkSettings({ scheme, key } as WatermarkOptions), 7);
    const sampler = new Sampler(settings, 7, new RandomStream(key), watermark.mark([], 0));
    const draw = (p: number[]) => sampler.sample(Float32Array.from(p, Math.log));
    const first = draw(PROBABILITIES);
    counts[7 * first + draw(after(first))]!++;
  }
  let chi2 = 0;
  for (const [i, n] of counts.entries()) {
    const expected = keys * PROBABILITIES[Math.floor(i / 7)]! * after(Math.floor(i / 7))[i % 7]!;
    chi2 += (n - expected) ** 2 / expected;
  }
  return { chi2, freedom: 48 };
}
