import assert from "node:assert/strict";
import { test } from "node:test";
import { Contexts } from "../../../src/generate/watermark/contexts.js";
import { dualKeys } from "../../../src/generate/watermark/gumbel.js";
import { keyBits } from "../../../src/generate/watermark/key.js";
import { openWatermark } from "../../../src/generate/watermark/open.js";
import { watermarkSettings } from "../../../src/generate/watermark/options.js";
import { ContextWords } from "../../../src/generate/watermark/philox.js";
import { candidatesOf, watermarkFixture } from "../../helpers/watermark-fixture.js";

const fixture = watermarkFixture();

test("words of key, context and token are vLLM's", () => {
  for (const { key, context, tokens, words, uniform } of fixture.words) {
    const generator = new ContextWords(BigInt(key)).seek(context);
    assert.deepEqual(
      tokens.map((token) => generator.word(token)),
      words,
    );
    assert.deepEqual(
      tokens.map((token) => generator.uniform(token)),
      uniform,
    );
  }
  // The vector in vLLM's own tests.
  const known = [1, 2, 3, 4].map((_, i) => fixture.words[i >> 1]!.words[i & 1]! >>> 8);
  assert.deepEqual(known, [1661833, 10571167, 9742331, 13375724]);
});

test("derived keys are vLLM's", async () => {
  for (const [key, a, b] of fixture.derivedKeys) {
    assert.deepEqual(await dualKeys(BigInt(key)), [BigInt(a), BigInt(b)]);
  }
});

test("gumbel chooses vLLM's tokens", async () => {
  for (const { key, temperature, tokens } of fixture.gumbel) {
    const settings = watermarkSettings({ key, deduplicateContexts: "none" });
    const mark = (await openWatermark(settings, 300)).mark([5, 6], 0);
    for (const [i, token] of tokens.entries()) {
      assert.equal(mark.choose(candidatesOf(fixture.logits, { temperature })), token, `token ${i} of key ${key}`);
      mark.push(token);
    }
  }
});

test("contexts are repeated where vLLM finds them repeated", () => {
  for (const { prompt, text, cases } of fixture.repeats) {
    for (const { width, maxHistory, scope, repeated } of cases) {
      const contexts = new Contexts(prompt, { width, maxHistory, scope });
      const found = text.map((token) => {
        const { repeated } = contexts;
        contexts.push(token);
        return repeated ? 1 : 0;
      });
      assert.deepEqual(found, repeated, `width ${width}, ${scope}, the last ${maxHistory}`);
    }
  }
});

/** The probabilities from which a mark of that scheme draws after the fixture's context. */
async function reweighed(scheme: "red-green" | "synthid"): Promise<number[]> {
  const { context, key } = fixture.reweighed;
  const mark = (await openWatermark(watermarkSettings({ scheme, key }), 300)).mark([], 0);
  for (const token of context) mark.push(token);
  const candidates = candidatesOf(fixture.logits);
  mark.choose(candidates);
  const total = candidates.weights.reduce((sum, w) => sum + w, 0);
  return Array.from(candidates.weights, (w) => w / total);
}

for (const [scheme, expected] of [
  ["red-green", fixture.reweighed.redGreen],
  ["synthid", fixture.reweighed.synthid],
] as const) {
  test(`${scheme} draws from the distribution made by the same words in Python`, async () => {
    const found = await reweighed(scheme);
    // Six digits are stored.
    for (const [id, p] of expected.entries()) {
      assert.ok(Math.abs(found[id]! - p) <= 6e-6 * p + 1e-12, `token ${id}: ${found[id]} for ${p}`);
    }
  });
}

test("a key is an integer, its digits, or a text", async () => {
  assert.equal(await keyBits(42), 42n);
  assert.equal(await keyBits(2n ** 64n - 1n), 2n ** 64n - 1n);
  assert.equal(await keyBits(" 42\n"), 42n);
  assert.equal(await keyBits("0xff"), 255n);
  // printf secret | sha256sum
  assert.equal(await keyBits("secret"), 0x2bb80d537b1da3e3n);
  assert.equal(await keyBits("secret\n"), 0x2bb80d537b1da3e3n);
});
