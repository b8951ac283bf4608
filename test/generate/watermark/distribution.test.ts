/** Schemes that promise it keep the distribution unchanged, on average over keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { chiSquareOverKeys } from "../../helpers/watermark-distribution.js";

for (const scheme of ["gumbel", "dual-key-gumbel", "synthid"] as const) {
  test(`${scheme}: tokens over 3,000 keys, and pairs of tokens`, { skip: LIKE_OTHERS }, async () => {
    const { chi2, freedom } = await chiSquareOverKeys(scheme, 3000);
    // Exceeded by chance once in 100,000 seeds, by the normal approximation of Wilson & Hilferty.
    const limit = freedom * (1 - 2 / (9 * freedom) + 4.26 * Math.sqrt(2 / (9 * freedom))) ** 3;
    assert.ok(chi2 < limit, `χ² ${chi2}, limit ${limit}`);
  });
}

test("red-green does not", async () => {
  const { chi2, freedom } = await chiSquareOverKeys("red-green", 3000);
  assert.ok(chi2 > 2 * freedom);
});
