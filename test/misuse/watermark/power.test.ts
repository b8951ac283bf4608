import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fittedStrengths, UNSCORED } from "../../../scripts/release-figures/strengths.js";
import { WATERMARK_SCHEMES, type WatermarkScheme } from "../../../src/generate/watermark/options.js";
import { powerAt, powerOf, tokensFor } from "../../../src/misuse/watermark/power.js";
import { packageFile } from "../../../src/util/package-root.js";

test("power is close to the measured shares of marked texts that are found", async () => {
  const docs = await readFile(packageFile("docs/watermark.md"), "utf8");
  const [head, , ...rows] = docs
    .match(/^\| scheme \| 25 (?:\|.*\n)+/m)![0]
    .trim()
    .split("\n")
    .map(cells);
  assert.deepEqual(rows.map(([scheme]) => scheme!.replaceAll("`", "")).sort(), [...WATERMARK_SCHEMES].sort());
  for (const [name, ...shares] of rows) {
    const scheme = name!.replaceAll("`", "") as WatermarkScheme;
    for (const [i, both] of shares.entries()) {
      const scored = Number(head![i + 1]) - (UNSCORED[scheme] ?? 0);
      for (const [j, found] of both.split(" / ").entries()) {
        const power = powerAt(scheme, scored, [0.01, 0.001][j]!);
        // Of 100 texts: three times a share's standard deviation at worst.
        assert.ok(
          Math.abs(power - Number(found) / 100) < 0.15,
          `${scheme}, ${scored} tokens: ${power}, found ${found}%`,
        );
      }
    }
  }
});

test("as many tokens as needed have the power", () => {
  for (const scheme of WATERMARK_SCHEMES) {
    const tokens = tokensFor(scheme, 0.9, 0.01);
    assert.ok(powerAt(scheme, tokens, 0.01) >= 0.9 && powerAt(scheme, tokens - 1, 0.01) < 0.9, scheme);
  }
});

test("strengths are fitted to shares that were found", () => {
  const strength = { mean: 0.6, deviation: 1, spread: 0.1 };
  const byLength = [25, 50, 100, 200].map((length) => {
    const [at1, at01] = [0.01, 0.001].map((rate) => powerOf(strength, length, rate));
    return { length, text: { "0.01": at1!, "0.001": at01! } };
  });
  const quality = { perplexity: { value: 1, low: 1, high: 1 }, distinct: [] };
  const fitted = fittedStrengths([{ scheme: "gumbel", texts: 1000, quality, byLength }]);
  for (const { length, text } of byLength) {
    for (const rate of [0.01, 0.001] as const) {
      const power = powerOf(fitted.gumbel, length, rate);
      assert.ok(Math.abs(power - text[`${rate}`]) < 0.005, `${length} tokens, ${rate}: ${power}`);
    }
  }
});

function cells(row: string): string[] {
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
