/** Masked tokens: how many, changed to what, whole words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { maskTokens } from "../../src/data/masking.js";
import { RandomStream } from "../../src/util/random.js";

const MASK = 99;
const options = { share: 0.15, maskId: MASK, vocabSize: 90 };

/** 1000 texts of 60 tokens each, all of them 50. */
function maskMany(more: object = {}) {
  const random = new RandomStream(7);
  const results: { tokens: Int32Array; targets: Int32Array; count: number }[] = [];
  for (let text = 0; text < 1000; text++) {
    const tokens = new Int32Array(60).fill(50);
    const targets = new Int32Array(60).fill(-1);
    const count = maskTokens(tokens, targets, [...tokens.keys()], random, { ...options, ...more });
    results.push({ tokens, targets, count });
  }
  return results;
}

describe("masking tokens", () => {
  it("predicts 15% of each text: 80% masked, 10% random, 10% unchanged, the others untouched", () => {
    let [masked, same, random] = [0, 0, 0];
    for (const { tokens, targets, count } of maskMany()) {
      assert.equal(count, 9);
      assert.equal(targets.filter((target) => target === 50).length, 9);
      for (const [n, token] of tokens.entries()) {
        if (targets[n] === -1) assert.equal(token, 50);
        else if (token === MASK) masked++;
        else if (token === 50) same++;
        else random++;
      }
    }
    // Of 9000; random tokens are the token itself once in 90 times. Bounds of four standard deviations.
    const within = (count: number, p: number): boolean =>
      Math.abs(count - 9000 * p) < 4 * Math.sqrt(9000 * p * (1 - p));
    assert.ok(
      within(masked, 0.8) && within(random, 0.1 * (89 / 90)) && within(same, 0.1 + 0.1 / 90),
      `${masked} ${random}`,
    );
  });

  it("predicts at least one token, and chooses every position equally often", () => {
    const tokens = Int32Array.of(5, 6);
    const targets = new Int32Array(2).fill(-1);
    assert.equal(maskTokens(tokens, targets, [0, 1], new RandomStream(1), options), 1);
    const counts = new Array<number>(60).fill(0);
    for (const { targets } of maskMany()) for (const [n, target] of targets.entries()) if (target >= 0) counts[n]!++;
    assert.ok(
      counts.every((count) => Math.abs(count - 150) < 60),
      String(counts),
    );
  });

  it("masks whole words on request: all of a word's tokens or none", () => {
    // Words of three tokens, each beginning at a multiple of three.
    const random = new RandomStream(3);
    for (let text = 0; text < 50; text++) {
      const tokens = Int32Array.from({ length: 60 }, (_, n) => (n % 3 === 0 ? 1 : 2));
      const targets = new Int32Array(60).fill(-1);
      const beginsWord = (token: number) => token === 1;
      const count = maskTokens(tokens, targets, [...tokens.keys()], random, { ...options, beginsWord });
      assert.equal(count, 9);
      for (let n = 0; n < 60; n += 3) assert.equal(new Set([...targets.subarray(n, n + 3)].map((t) => t < 0)).size, 1);
    }
  });
});
