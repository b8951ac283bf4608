import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { WATERMARK_SCHEMES, type WatermarkScheme } from "../../../src/generate/watermark/options.js";
import { powerAt, tokensFor } from "../../../src/misuse/watermark/power.js";
import { packageFile } from "../../../src/util/package-root.js";

/** Tokens of a text whose n-gram begins before it: they are not scored. */
const UNSCORED: Partial<Record<WatermarkScheme, number>> = { "hf-kgw": 1, "hf-synthid": 4 };

test("power is near the shares of marked texts that were found", async () => {
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
        // Of 100 texts: twice a share's standard deviation at worst.
        assert.ok(
          Math.abs(power - Number(found) / 100) < 0.1,
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

function cells(row: string): string[] {
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
