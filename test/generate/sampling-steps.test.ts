import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../../src/errors.js";
import type { GenerateOptions } from "../../src/generate/options.js";
import { Sampler } from "../../src/generate/sampler.js";
import { SamplerChain } from "../../src/generate/sampling/chain.js";
import { type MoreSamplingOptions, moreSampling, SAMPLER_STEPS } from "../../src/generate/sampling/options.js";
import { samplingSettings } from "../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../src/util/random.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { byteModel, fastestBackend } from "./models.js";

const PLAIN = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
const logsOf = (probabilities: readonly number[]) => Float32Array.from(probabilities, (p) => Math.log(p));
type Options = MoreSamplingOptions & Partial<typeof PLAIN>;

const EOS = 4;

/** Makes samplers with these options, each with its own random numbers. */
function samplersOf(size: number, options: Options): (uniform: () => number) => Sampler {
  const [settings, more] = [samplingSettings({ ...PLAIN, ...options }), moreSampling(options)];
  return (uniform) => new Sampler(settings, size, { uniform }, undefined, more, [EOS]);
}

const samplerOf = (size: number, options: Options, uniform: () => number) => samplersOf(size, options)(uniform);

/** How often each token is drawn when the random numbers lie evenly over [0, 1). */
function frequencies(logits: Float32Array, options: Options, before: readonly number[] = [], draws = 2000): number[] {
  const counts = new Array<number>(logits.length).fill(0);
  const make = samplersOf(logits.length, options);
  for (let i = 0; i < draws; i++) {
    const sampler = make(() => (i + 0.5) / draws);
    sampler.see(before);
    counts[sampler.sample(logits)]!++;
  }
  return counts.map((n) => n / draws);
}

const support = (logits: Float32Array, options: Options, before: readonly number[] = []) =>
  frequencies(logits, options, before, 500).flatMap((p, id) => (p > 0 ? [id] : []));

function near(got: readonly number[], want: readonly number[], tolerance = 0.002): void {
  for (const [i, p] of want.entries()) assert.ok(Math.abs(got[i]! - p) <= tolerance, `${i}: ${got[i]}, wanted ${p}`);
}

const FIVE = [0.4, 0.3, 0.15, 0.1, 0.05];

describe("changes to single logits", () => {
  it("penalize generated tokens, not the prompt: presence once, frequency each time", () => {
    const logits = Float32Array.of(2, 1.9, 0, 0, 0);
    const next = (options: Options) => {
      const sampler = samplerOf(5, { temperature: 0, ...options }, Math.random);
      sampler.see([0, 0, 0]);
      return Array.from({ length: 5 }, () => sampler.sample(logits));
    };
    assert.deepEqual(next({ presencePenalty: 0.15 }), [0, 1, 0, 0, 0]);
    assert.deepEqual(next({ frequencyPenalty: 0.15 }), [0, 1, 0, 1, 0]);
    assert.deepEqual(next({ presencePenalty: -5 }), [0, 0, 0, 0, 0]);
  });

  it("add biases, forbid words, restrict to allowed ids", () => {
    near(
      frequencies(logsOf(FIVE), { logitBias: { 4: Math.log(8) } }),
      [0.4, 0.3, 0.15, 0.1, 0.4].map((p) => p / 1.35),
    );
    assert.deepEqual(support(logsOf(FIVE), { logitBias: { 0: -100, 3: -100, 99: 5 } }), [1, 2, 4]);
    assert.deepEqual(support(logsOf(FIVE), { allowedIds: [1, 3] }), [1, 3]);
    const words = { badWords: [[2], [1, 0], [3, 1, 4]] };
    assert.deepEqual(support(logsOf(FIVE), words, [3]), [0, 1, 3, 4]);
    assert.deepEqual(support(logsOf(FIVE), words, [3, 1]), [1, 3]);
  });

  it("keep the text from ending before the minimum number of tokens", () => {
    const sampler = samplerOf(5, { temperature: 0, minNewTokens: 2 }, Math.random);
    const logits = Float32Array.of(0, 1, 0, 0, 9);
    assert.deepEqual(
      [1, 2, 3].map(() => sampler.sample(logits)),
      [1, 1, EOS],
    );
  });

  it("DRY: penalizes continuing a repetition, by its length, up to a breaker", () => {
    const flat = new Float32Array(10);
    const penalty = (before: readonly number[], options: Options = {}) => {
      const found = frequencies(flat, { dryMultiplier: 1, dryBase: 2, dryAllowedLength: 2, ...options }, before);
      const most = Math.max(...found);
      return found.map((p) => Math.round(Math.log(most / p) * 10) / 10);
    };
    // 1 2 3 was followed by 7, and 1 2 3 stands at the end: n = 3.
    assert.equal(penalty([1, 2, 3, 7, 1, 2, 3])[7], 2);
    assert.equal(penalty([1, 2, 3, 7, 5, 2, 3])[7], 1);
    assert.equal(penalty([1, 2, 3, 7, 5, 6, 3])[7], 0);
    assert.equal(penalty([1, 2, 3, 7, 1, 2, 3], { dryBreakers: [1] })[7], 1);
    assert.equal(penalty([1, 2, 3, 7, 1, 2, 3], { dryAllowedLength: 4 })[7], 0);
  });
});

describe("steps", () => {
  it("in the usual order equal the sampler without a chain", { skip: LIKE_OTHERS }, () => {
    const logits = new RandomArrays(3).floats(60, 2);
    for (const options of [{}, { topK: 9 }, { topP: 0.7 }, { topK: 20, topP: 0.8, minP: 0.1, temperature: 0.7 }]) {
      const plain = frequencies(logits, options);
      near(frequencies(logits, { ...options, typicalP: 1 - 1e-12 }), plain, 1e-3);
    }
  });

  it("top-nσ keeps tokens within n standard deviations of the largest logit", () => {
    const logits = Float32Array.of(10, 9, 8, 0, 0, 0, 0, 0);
    const mean = 27 / 8;
    const sigma = Math.sqrt([10, 9, 8, 0, 0, 0, 0, 0].reduce((s, x) => s + (x - mean) ** 2, 0) / 8);
    assert.deepEqual(support(logits, { topNSigma: 1.001 / sigma, temperature: 5 }), [0, 1]);
    assert.deepEqual(support(logits, { topNSigma: 2.001 / sigma, temperature: 5 }), [0, 1, 2]);
    assert.deepEqual(support(logits, { topNSigma: 1e-9 }), [0]);
  });

  it("typical-p keeps the tokens nearest to the entropy", () => {
    const h = -FIVE.reduce((sum, p) => sum + p * Math.log(p), 0);
    const order = [0, 1, 2, 3, 4].sort((a, b) => Math.abs(-Math.log(FIVE[a]!) - h) - Math.abs(-Math.log(FIVE[b]!) - h));
    assert.equal(order[0], 1);
    assert.deepEqual(support(logsOf(FIVE), { typicalP: 0.2 }), [1]);
    assert.deepEqual(support(logsOf(FIVE), { typicalP: 0.35 }), [...order.slice(0, 2)].sort());
  });

  it("XTC sometimes drops the tokens above the threshold, except the least likely of them", () => {
    assert.deepEqual(support(logsOf(FIVE), { xtcProbability: 1, xtcThreshold: 0.12 }), [2, 3, 4]);
    assert.deepEqual(support(logsOf(FIVE), { xtcProbability: 1, xtcThreshold: 0.35 }), [0, 1, 2, 3, 4]);
    const random = new RandomStream(1);
    let excluded = 0;
    const make = samplersOf(5, { xtcProbability: 0.5, xtcThreshold: 0.12 });
    for (let i = 0; i < 2000; i++) if (make(() => random.uniform()).sample(logsOf(FIVE)) >= 2) excluded++;
    near([excluded / 2000], [0.5 + 0.5 * 0.3], 0.05);
  });

  it("dynamic temperature is lower where the model is sure", () => {
    const even = [0.2, 0.2, 0.2, 0.2, 0.2];
    near(frequencies(logsOf(even), { temperature: 1, temperatureRange: 0.5 }), even);
    const h = -FIVE.reduce((sum, p) => sum + p * Math.log(p), 0) / Math.log(5);
    const t = 0.5 + 1 * h;
    const weights = FIVE.map((p) => p ** (1 / t));
    const sum = weights.reduce((a, b) => a + b);
    near(
      frequencies(logsOf(FIVE), { temperature: 1, temperatureRange: 0.5 }),
      weights.map((w) => w / sum),
    );
  });

  it("mirostat 2 steers surprisal to its target", { skip: LIKE_OTHERS }, () => {
    const draws = 3000;
    const logits = new RandomArrays(7).floats(400, 1.5);
    const sum = logits.reduce((s, x) => s + Math.exp(x), 0);
    for (const tau of [2, 4]) {
      const random = new RandomStream(5);
      const sampler = samplerOf(400, { mirostatTau: tau, mirostatEta: 0.1 }, () => random.uniform());
      let surprise = 0;
      for (let i = 0; i < draws; i++) surprise += -Math.log2(Math.exp(logits[sampler.sample(logits)]!) / sum);
      // The steered surprise is computed among the remaining tokens, and is below the model's own.
      assert.ok(surprise / draws > tau - 0.2, `${surprise / draws}`);

      const settings = samplingSettings({ ...PLAIN });
      const chain = new SamplerChain(settings, moreSampling({ mirostatTau: tau, mirostatEta: 0.1 }));
      let steered = 0;
      for (let i = 0; i < draws; i++) {
        const { probabilities } = chain.candidates(logits, random);
        let u = random.uniform();
        const drawn = probabilities.find((p) => (u -= p) < 0) ?? probabilities.at(-1)!;
        steered -= Math.log2(drawn);
        chain.drawn(drawn);
      }
      near([steered / draws], [tau], 0.1);
    }
  });

  it("are applied in the order of the settings", () => {
    // After a high temperature top-p keeps more tokens than before it.
    const hot = { temperature: 10, topP: 0.6 };
    assert.deepEqual(support(logsOf(FIVE), hot), [0, 1, 2]);
    assert.deepEqual(support(logsOf(FIVE), { ...hot, samplerOrder: ["topP", "temperature"] }), [0, 1]);
    assert.deepEqual(moreSampling({ samplerOrder: ["minP"] }).samplerOrder, [
      "minP",
      ...SAMPLER_STEPS.filter((step) => step !== "minP"),
    ]);
  });

  it("out of range are refused by name", () => {
    const bad: MoreSamplingOptions[] = [
      { presencePenalty: Number.NaN },
      { minNewTokens: 1.5 },
      { dryBase: 0.5 },
      { typicalP: 1.5 },
      { xtcProbability: -1 },
      { mirostatTau: Infinity },
      { badWords: [[]] },
      { allowedIds: [] },
      { samplerOrder: ["topP", "topP"] },
      { samplerOrder: ["nothing" as "topP"] },
      { logitBias: { x: 1 } as Record<number, number> },
    ];
    for (const options of bad) {
      const name = Object.keys(options)[0]!;
      assert.throws(
        () => moreSampling(options),
        (e: Error) => e instanceof UsageError && e.message.startsWith(name),
      );
    }
  });
});

describe("generating", () => {
  it("reports alternatives, the sampled token's probability among them, and ends at stop tokens", async () => {
    const model = byteModel(await fastestBackend());
    const options: GenerateOptions = { seed: 1, topK: 0, maxNewTokens: 30, alternatives: 5 };
    const tokens = [];
    for await (const token of model.generate("Hi", options)) tokens.push(token);
    for (const { token, logprob, alternatives = [] } of tokens) {
      assert.equal(alternatives.length, 5);
      for (const [i, { logprob }] of alternatives.entries())
        if (i > 0) assert.ok(alternatives[i - 1]!.logprob >= logprob);
      const own = alternatives.find((a) => a.token === token);
      if (own) assert.equal(own.logprob, logprob);
      else assert.ok(logprob <= alternatives[4]!.logprob);
    }
    const third = tokens[2]!.token;
    const stopped = await model.complete("Hi", { ...options, stopTokens: [third] });
    assert.equal(stopped.tokens.at(-1), third);
    assert.ok(stopped.tokens.length <= 3);
    assert.equal(stopped.finishReason, "endoftext");
  });
});

it("mirostat allows more surprise after likely tokens, and less after a surprising one", () => {
  // Surprise of 0.15 and 3.3 bits. The bound begins at 2 τ = 1, and each draw moves it by τ minus the token's surprise.
  const sampler = samplerOf(2, { mirostatTau: 0.5, mirostatEta: 1 }, () => 0.99);
  const drawn = Array.from({ length: 13 }, () => sampler.sample(logsOf([0.9, 0.1])));
  assert.deepEqual(drawn, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
});
