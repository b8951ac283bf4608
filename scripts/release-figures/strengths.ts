import { readFileSync, writeFileSync } from "node:fs";
import { WATERMARK_SCHEMES, type WatermarkScheme } from "../../src/generate/watermark/options.js";
import { powerOf, type Strength } from "../../src/misuse/watermark/power.js";
import { STRENGTHS } from "../../src/misuse/watermark/strengths.js";
import { packageFile } from "../../src/util/package-root.js";
import type { SchemeFigures } from "../watermark-figures/tables.js";

/** Number of first tokens of a text that are not scored, because their n-gram begins before the text. */
export const UNSCORED: Readonly<Partial<Record<WatermarkScheme, number>>> = { "hf-kgw": 1, "hf-synthid": 4 };

const FIELDS = ["mean", "deviation", "spread"] as const;
const RANGES = { mean: [0.05, 5], deviation: [0.3, 4], spread: [0.001, 0.6] } as const;

/**
 * The strengths under which the measurements are most probable; where these say little, close to the previous
 * strengths.
 */
export function fittedStrengths(figures: readonly SchemeFigures[]): Record<WatermarkScheme, Strength> {
  const all = WATERMARK_SCHEMES.map((scheme) => {
    const found = figures.find((of) => of.scheme === scheme);
    return [scheme, found ? fit(scheme, found) : STRENGTHS[scheme]] as const;
  });
  return Object.fromEntries(all) as Record<WatermarkScheme, Strength>;
}

/** Coordinate search: each field in turn, by ever smaller factors. */
function fit(scheme: WatermarkScheme, { texts, byLength = [] }: SchemeFigures): Strength {
  const logLikelihood = (strength: Strength): number =>
    byLength.reduce((sum, { length, text }) => {
      const scored = length - (UNSCORED[scheme] ?? 0);
      return (
        sum +
        ([0.01, 0.001] as const).reduce((both, rate) => {
          const found = text[`${rate}`] * texts;
          const power = Math.min(1 - 1e-4, Math.max(1e-4, powerOf(strength, scored, rate)));
          return both + found * Math.log(power) + (texts - found) * Math.log(1 - power);
        }, 0)
      );
    }, 0);
  let best = STRENGTHS[scheme];
  for (let factor = 1.5; factor > 1.001; ) {
    const before = best;
    for (const field of FIELDS) {
      for (const value of [best[field] * factor, best[field] / factor]) {
        const [least, most] = RANGES[field];
        const tried = { ...best, [field]: Math.min(most, Math.max(least, value)) };
        if (logLikelihood(tried) > logLikelihood(best) + 1e-9) best = tried;
      }
    }
    if (best === before) factor = Math.sqrt(factor);
  }
  return best;
}

/** Writes the strengths into src/misuse/watermark/strengths.ts. */
export function writeStrengths(strengths: Readonly<Record<WatermarkScheme, Strength>>): void {
  const path = packageFile("src/misuse/watermark/strengths.ts");
  const source = readFileSync(path, "utf8");
  const lines = WATERMARK_SCHEMES.map((scheme) => {
    const fields = FIELDS.map((field) => `${field}: ${Number(strengths[scheme][field].toPrecision(3))}`);
    return `  ${scheme.includes("-") ? `"${scheme}"` : scheme}: { ${fields.join(", ")} },\n`;
  });
  writeFileSync(
    path,
    source.replace(/(= \{\n)[\s\S]*?(\};\n)$/, (_, start, end) => `${start}${lines.join("")}${end}`),
  );
}
