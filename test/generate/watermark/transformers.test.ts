import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UsageError } from "../../../src/errors.js";
import { Sampler } from "../../../src/generate/sampler.js";
import { HfKgwWatermark } from "../../../src/generate/watermark/hf-kgw.js";
import { HfSynthIdWatermark } from "../../../src/generate/watermark/hf-synthid.js";
import { keyBits } from "../../../src/generate/watermark/key.js";
import { isAmongFirst, Mt19937, permutation } from "../../../src/generate/watermark/mt19937.js";
import { watermarkSettings } from "../../../src/generate/watermark/options.js";
import { readWatermarkConfig, transformersConfig } from "../../../src/generate/watermark/read-config.js";
import { countGreen, gValues, zScoreOf } from "../../../src/misuse/watermark/hf-evidence.js";
import { verifyWatermark } from "../../../src/misuse/watermark/verify.js";
import { samplingSettings } from "../../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../../src/util/random.js";
import { candidatesOf, STEP_TOKENS, watermarkFixture } from "../../helpers/watermark-fixture.js";

const fixture = watermarkFixture();
const V = fixture.logits.length;
const near = (a: number, b: number, tolerance: number) =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1e-3, Math.abs(b)), `${a} for ${b}`);

test("permutations are torch.randperm's", () => {
  for (const { seed, size, first, checksum } of fixture.permutations) {
    const values = permutation(new Mt19937(BigInt(seed)), size);
    assert.deepEqual([...values.subarray(0, 6)], first, `seed ${seed}, size ${size}`);
    assert.equal(
      values.reduce((sum, value) => (sum * 31 + value + 1) % 1000003, 0),
      checksum,
    );
  }
});

test("one value's position in a permutation, without the permutation", () => {
  for (const count of [0, 1, 7, 19, 20]) {
    const first = new Set(permutation(new Mt19937(5n), 20, count));
    for (let value = 0; value < 20; value++) {
      assert.equal(isAmongFirst(new Mt19937(5n), 20, count, value), first.has(value), `${value} of ${count}`);
    }
  }
});

const kgwOf = async (config: object) => {
  const settings = watermarkSettings(readWatermarkConfig(JSON.stringify(config)));
  assert.ok(settings.scheme === "hf-kgw");
  return { settings, watermark: new HfKgwWatermark(await keyBits(settings.key), settings, V) };
};

for (const { config, green, text, all, once } of fixture.kgw) {
  describe(`KGW ${config.seeding_scheme}, width ${config.context_width}`, () => {
    test("favours the same tokens as transformers", async () => {
      const { settings, watermark } = await kgwOf(config);
      for (const { prompt, green: expected } of green) {
        const candidates = candidatesOf(fixture.logits);
        const before = candidates.weights.slice();
        watermark.mark(prompt).choose(candidates);
        const favoured = [...candidates.weights].flatMap((w, id) => (w === before[id] ? [] : [id]));
        assert.deepEqual(favoured, expected, `after ${prompt.length} tokens`);
        for (const id of favoured) near(candidates.weights[id]! / before[id]!, Math.exp(settings.delta), 1e-12);
      }
    });

    test("counts like transformers' detector", async () => {
      const { settings, watermark } = await kgwOf(config);
      for (const [expected, isOnce] of [[all, false] as const, [once, true] as const]) {
        const count = countGreen(watermark, text, isOnce);
        assert.deepEqual([count.scored, count.green], expected.slice(0, 2));
        near(zScoreOf(count, settings.gamma), expected[2], 1e-12);
      }
      const report = await verifyWatermark(text, settings, { vocabSize: V });
      assert.deepEqual([report.scored, report.score], once.slice(0, 2));
      near(report.zScore!, once[2], 1e-12);
    });
  });
}

const synthIdOf = (config: object) => {
  const settings = watermarkSettings(readWatermarkConfig(JSON.stringify(config)));
  assert.ok(settings.scheme === "hf-synthid");
  return { settings, watermark: new HfSynthIdWatermark(settings) };
};

for (const { config, text, steps, g, mask, mean, weightedMean, tableMean } of fixture.synthid) {
  describe(`SynthID with ${(config.keys as unknown[]).length} keys`, () => {
    test("draws from transformers' distributions", () => {
      const { watermark } = synthIdOf(config);
      const mark = watermark.mark();
      for (const [i, expected] of steps.entries()) {
        const candidates = candidatesOf(fixture.logits);
        mark.choose(candidates);
        const total = candidates.weights.reduce((sum, w) => sum + w, 0);
        for (const [j, token] of STEP_TOKENS.entries()) near(candidates.weights[token]! / total, expected[j]!, 2e-6);
        mark.push(text[i]!);
      }
    });

    test("has transformers' g-values, masks and means", async () => {
      const { settings, watermark } = synthIdOf(config);
      assert.equal(watermark.mean, tableMean);
      const values = gValues(watermark, text, settings.contextHistorySize);
      assert.deepEqual(
        values.map(({ g: bits }) => bits.join("")),
        g,
      );
      assert.deepEqual(
        values.map(({ repeated }) => (repeated ? 0 : 1)),
        mask,
      );
      const report = await verifyWatermark(text, { ...settings, contextHistorySize: 1024 });
      // With a short history, transformers counts repeats; the report leaves out all of them.
      if (settings.contextHistorySize < text.length) return;
      near(report.score, mean, 1e-12);
      near(report.weightedMean!, weightedMean, 1e-12);
    });
  });
}

test("greedy texts are marked as transformers marks them: the likeliest after the bias", async () => {
  const { config, green } = fixture.kgw[0]!;
  const { watermark } = await kgwOf(config);
  const logits = Float32Array.from(fixture.logits);
  for (const { prompt, green: favoured } of green) {
    const biased = fixture.logits.map((x, id) => x + (favoured.includes(id) ? 2 : 0));
    const sampler = new Sampler(samplingSettings({ temperature: 0 }), V, new RandomStream(1), watermark.mark(prompt));
    assert.equal(sampler.sample(logits), biased.indexOf(Math.max(...biased)));
  }
});

test("configurations of transformers and vLLM are read, and transformers' written", () => {
  const kgw =
    '{"greenlist_ratio": 0.5, "bias": 1.5, "hashing_key": 9223372036854775807, "seeding_scheme": "selfhash", "context_width": 4}';
  const options = readWatermarkConfig(kgw);
  assert.deepEqual(options, {
    scheme: "hf-kgw",
    gamma: 0.5,
    delta: 1.5,
    key: "9223372036854775807",
    seeding: "selfhash",
    contextWidth: 4,
  });
  assert.deepEqual(readWatermarkConfig(transformersConfig(options)), options);
  assert.deepEqual(readWatermarkConfig(`{"do_sample": true, "watermarking_config": ${kgw}}`), options);
  const synthid = { scheme: "hf-synthid", keys: [1, -(2n ** 63n)] } as const;
  const read = readWatermarkConfig(transformersConfig(synthid));
  assert.deepEqual(watermarkSettings(read), watermarkSettings(synthid));
  const vllm = {
    key: 42,
    algorithm: "dual_key_gumbel",
    alpha: 0.2,
    context_width: 3,
    deduplicate_contexts: "single_turn",
    prf: "philox",
  };
  assert.deepEqual(readWatermarkConfig(JSON.stringify(vllm)), {
    scheme: "dual-key-gumbel",
    key: 42,
    alpha: 0.2,
    contextWidth: 3,
    deduplicateContexts: "single-turn",
  });
  const plain = readWatermarkConfig('{"algorithm": "gumbel", "alpha": 0.1, "deduplicate_contexts_max_history": null}');
  assert.deepEqual(plain, { scheme: "gumbel", maxHistory: Number.MAX_SAFE_INTEGER });
  assert.throws(() => readWatermarkConfig('{"ngram_len": 5, "colour": 1}'), /got colour/);
  assert.throws(() => readWatermarkConfig("{key"), /expected JSON, got text that is not JSON/);
  assert.throws(() => readWatermarkConfig("[1]"), UsageError);
  assert.throws(() => transformersConfig({ key: 1 }), /expected hf-kgw or hf-synthid, got gumbel/);
});
