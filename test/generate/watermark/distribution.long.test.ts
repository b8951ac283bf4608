/** The test of distribution.test.ts, with a hundred thousand keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chiSquareOverKeys } from "../../helpers/watermark-distribution.js";

for (const scheme of ["gumbel", "dual-key-gumbel", "synthid"] as const) {
  test(`${scheme}: pairs of tokens over 100,000 keys`, async () => {
    const { chi2, freedom } = await chiSquareOverKeys(scheme, 100_000);
    const limit = freedom * (1 - 2 / (9 * freedom) + 4.26 * Math.sqrt(2 / (9 * freedom))) ** 3;
    assert.ok(chi2 < limit, `χ² ${chi2}, limit ${limit}`);
  });
}
