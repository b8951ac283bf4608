import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenizerError, UsageError } from "../../../src/errors.js";
import { logBinomialTail, logGamma, logGammaTail, logTwoGammaTail } from "../../../src/misuse/watermark/tails.js";
import { verifyWatermark } from "../../../src/misuse/watermark/verify.js";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { watermarkFixture } from "../../helpers/watermark-fixture.js";

const { detection, tails } = watermarkFixture();
const near = (a: number, b: number, tolerance: number, what: string) =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what}: ${a} for ${b}`);

test("gumbel scores and p-values are vLLM's", async () => {
  for (const { tokens, gumbel } of detection) {
    const found = await verifyWatermark(tokens, { key: 42 });
    const [scored, score, pValue] = gumbel;
    assert.equal(found.scored, scored);
    assert.equal(found.scored + found.repeated, tokens.length);
    near(found.score, score, 1e-12, "score");
    near(found.pValue, pValue, 1e-10, "p");
  }
});

test("dual-key scores are vLLM's; p-values are exact where vLLM's use an approximate distribution", async () => {
  for (const { tokens, dual } of detection) {
    for (const [alpha, score, pValue] of dual) {
      const found = await verifyWatermark(tokens, { scheme: "dual-key-gumbel", key: 42, alpha });
      near(found.score, score, 1e-12, "score");
      if (alpha === 0 || alpha === 0.5) near(found.pValue, pValue, 1e-9, `p at alpha ${alpha}`);
      else near(found.pValue, pValue, 0.02, `p at alpha ${alpha}`);
    }
  }
});

test("tails are those of mpmath", () => {
  for (const [n, x, log] of tails.gamma) near(logGammaTail(n, x), log, 1e-11, `Γ(${n}) from ${x}`);
  for (const [k, n, p, log] of tails.binomial) near(logBinomialTail(k, n, p), log, 1e-10, `B(${n}, ${p}) from ${k}`);
  for (const [n, a, x, log] of tails.two) near(logTwoGammaTail(n, a, x), log, 1e-9, `two of ${n}, ${a}, from ${x}`);
  near(logGamma(0.5), Math.log(Math.PI) / 2, 1e-14, "ln Γ(1/2)");
  near(logGammaTail(50, 0), 0, 0, "everything");
});

test("a short text says nothing, and neither does an empty one", async () => {
  const empty = await verifyWatermark([], { key: 1 });
  assert.deepEqual([empty.verdict, empty.pValue, empty.scored], ["too-short", 1, 0]);
  const few = await verifyWatermark([1, 2, 3], { key: 1 });
  assert.equal(few.verdict, "too-short");
  assert.ok(few.power < 0.9 && few.tokensNeeded > 3);
  const strict = await verifyWatermark([1, 2, 3], { key: 1 }, { falsePositiveRate: 1e-6 });
  assert.ok(strict.tokensNeeded > few.tokensNeeded && strict.power < few.power);
  const many = Array.from({ length: few.tokensNeeded }, (_, i) => i);
  assert.equal((await verifyWatermark(many, { key: 1 })).verdict, "not-found");
});

test("repeated contexts count once: repeating a text adds no evidence", async () => {
  const once = await verifyWatermark([1, 2, 3, 4, 5, 6, 7, 8], { key: 9 });
  const often = await verifyWatermark(
    Array.from({ length: 800 }, (_, i) => (i % 8) + 1),
    { key: 9 },
  );
  // At the start of each round the padded contexts are new.
  assert.equal(often.scored, once.scored + 4);
});

test("p-values are uniform over keys", { skip: LIKE_OTHERS }, async () => {
  const text = Array.from({ length: 60 }, (_, i) => (i * 7919) % 1000);
  for (const scheme of ["gumbel", "dual-key-gumbel"] as const) {
    const below = [0.01, 0.1, 0.5, 0.9].map(() => 0);
    const keys = 500;
    for (let key = 0; key < keys; key++) {
      const { pValue } = await verifyWatermark(text, { scheme, key });
      for (const [i, p] of [0.01, 0.1, 0.5, 0.9].entries()) if (pValue <= p) below[i]!++;
    }
    for (const [i, p] of [0.01, 0.1, 0.5, 0.9].entries()) {
      const deviation = Math.sqrt(keys * p * (1 - p));
      assert.ok(Math.abs(below[i]! - keys * p) < 4.5 * deviation, `${scheme}: ${below[i]} of ${keys} below ${p}`);
    }
  }
});

test("wrong calls are typed errors", async () => {
  await assert.rejects(verifyWatermark("text", { key: 1 }), TokenizerError);
  await assert.rejects(verifyWatermark([1.5], { key: 1 }), UsageError);
  await assert.rejects(verifyWatermark([1], { key: 1 }, { power: 1 }), UsageError);
  await assert.rejects(
    verifyWatermark([1], { key: 1 }, { falsePositives: 0.1 } as object),
    /Did you mean falsePositiveRate/,
  );
});
