import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { GPT2Error, UsageError } from "../../src/errors.js";
import { expOfNegative } from "../../src/generate/exp.js";
import { largest } from "../../src/generate/largest.js";
import { logSumExp } from "../../src/generate/log-sum-exp.js";
import { Sampler } from "../../src/generate/sampler.js";
import { SAMPLING_DEFAULTS, type SamplingOptions, samplingSettings } from "../../src/pretrained/sampling-options.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";
import { RandomArrays } from "../helpers/random-arrays.js";

/** The model's distribution, without any change. */
const PLAIN = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
const logsOf = (probabilities: readonly number[]) => Float32Array.from(probabilities, (p) => Math.log(p));

/**
 * How often each token is drawn when the random numbers lie evenly over [0, 1): its probability, to within 1 / draws.
 */
function frequencies(logits: Float32Array, options: SamplingOptions, draws: number, before: number[] = []): number[] {
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) {
    const uniform = () => (i + 0.5) / draws;
    const sampler = new Sampler(samplingSettings({ ...PLAIN, ...options }), logits.length, { uniform });
    sampler.see(before);
    counts[sampler.sample(logits)]!++;
  }
  return counts.map((n) => n / draws);
}

/** The tokens that can be drawn. */
function support(logits: Float32Array, options: SamplingOptions, draws = 500): number[] {
  return frequencies(logits, options, draws).flatMap((p, token) => (p > 0 ? [token] : []));
}

function greedy(options: SamplingOptions = {}, choices = 4): Sampler {
  return new Sampler(samplingSettings({ ...PLAIN, temperature: 0, ...options }), choices, new RandomStream(1));
}

describe("the sampler's distribution is that of transformers", () => {
  const { logits, before, cases } = JSON.parse(
    readFileSync(packageFile("test/fixtures/sampling/expected.json"), "utf8"),
  ) as { logits: number[]; before: number[]; cases: { settings: SamplingOptions; probabilities: number[] }[] };
  const draws = 2000;
  for (const { settings, probabilities } of cases) {
    it(JSON.stringify(settings), () => {
      const found = frequencies(Float32Array.from(logits), settings, draws, before);
      for (const [token, p] of probabilities.entries()) {
        assert.ok(Math.abs(found[token]! - p) <= 1.001 / draws, `token ${token}: drawn ${found[token]}, wanted ${p}`);
        if (p === 0) assert.equal(found[token], 0, `token ${token} is excluded`);
      }
    });
  }
});

describe("sampler", () => {
  it("draws each token with its probability, also by chance", () => {
    const probabilities = [0.4, 0.3, 0.15, 0.1, 0.05];
    const logits = logsOf(probabilities);
    for (const options of [PLAIN, { ...PLAIN, topK: 5 }, { ...PLAIN, topP: 0.9999 }]) {
      const sampler = new Sampler(samplingSettings(options), 5, new RandomStream(7));
      const counts = [0, 0, 0, 0, 0];
      const draws = 20_000;
      for (let i = 0; i < draws; i++) counts[sampler.sample(logits)]!++;
      const chi2 = counts.reduce(
        (sum, n, i) => sum + (n - draws * probabilities[i]!) ** 2 / (draws * probabilities[i]!),
        0,
      );
      // 4 degrees of freedom: exceeded by chance once in a thousand seeds.
      assert.ok(chi2 < 18.5, `${JSON.stringify(options)}: χ² ${chi2}, counts ${counts}`);
    }
  });

  it("takes the likeliest token at temperature 0, the first of equals, without using a random number", () => {
    const random = new RandomStream(1);
    const sampler = new Sampler(samplingSettings({ ...PLAIN, temperature: 0, topK: 3 }), 4, random);
    assert.equal(sampler.sample(Float32Array.of(1, 3, 3, 2)), 1);
    assert.equal(sampler.sample(Float32Array.of(-5, -4, -3, -4)), 2);
    assert.equal(random.counter, 0);
  });

  it("leaves the logits unchanged", () => {
    const logits = new RandomArrays(3).floats(50, 3);
    const copy = logits.slice();
    for (const options of [
      { temperature: 0 },
      { temperature: 3 },
      { topK: 2 },
      { repetitionPenalty: 2 },
      { topP: 0.1 },
    ]) {
      const sampler = new Sampler(samplingSettings({ ...PLAIN, ...options }), 50, new RandomStream(5));
      sampler.see([0, 1, 2]);
      sampler.sample(logits);
      assert.deepEqual(logits, copy, "the logits are left as they are");
    }
  });

  it("top-k keeps k tokens, the first of equals", () => {
    assert.deepEqual(support(logsOf([0.2, 0.3, 0.3, 0.2]), { topK: 3 }), [0, 1, 2]);
    assert.deepEqual(support(logsOf([0.2, 0.3, 0.3, 0.2]), { topK: 99 }), [0, 1, 2, 3]);
  });

  it("top-p keeps the token that crosses p, and one token at least", () => {
    const logits = logsOf([0.06, 0.5, 0.3, 0.14]);
    assert.deepEqual(support(logits, { topP: 0.49 }), [1]);
    assert.deepEqual(support(logits, { topP: 0.51 }), [1, 2]);
    assert.deepEqual(support(logits, { topP: 0.79 }), [1, 2]);
    assert.deepEqual(support(logits, { topP: 0.81 }), [1, 2, 3]);
    assert.deepEqual(support(logits, { topP: 0 }), [1]);
    // Of the top 2, 5/8 and 3/8.
    assert.deepEqual(support(logits, { topP: 0.62, topK: 2 }), [1]);
    assert.deepEqual(support(logits, { topP: 0.63, topK: 2 }), [1, 2]);
  });

  it("top-p stops where p is reached exactly", () => {
    assert.deepEqual(support(new Float32Array(4), { topP: 0.5 }), [0, 1]);
    assert.deepEqual(support(new Float32Array(5), { topP: 0.5, topK: 4 }), [0, 1]);
  });

  it("never draws a token of probability 0, even if rounding leaves part of the random number", () => {
    const logits = new Float32Array(8).map((_, i) => (i === 7 ? -1e9 : (-3 * ((i * 5) % 7)) / 7));
    for (const uniform of [0, 1 - 2 ** -53]) {
      const sampler = new Sampler(samplingSettings(PLAIN), 8, { uniform: () => uniform });
      assert.notEqual(sampler.sample(logits), 7);
    }
    const first = new Sampler(samplingSettings(PLAIN), 3, { uniform: () => 0 });
    assert.equal(first.sample(Float32Array.of(-1e9, 0, 0)), 1);
  });

  it("top-p finds a nucleus of thousands", () => {
    const logits = new Float32Array(5000).map((_, i) => (i % 2 === 0 ? 0 : -20));
    const tokens = support(logits, { topP: 0.5 });
    assert.ok(
      tokens.every((token) => token % 2 === 0 && token < 2502),
      "the first half of the equal ones",
    );
    assert.ok(tokens.at(-1)! >= 2490);
  });

  it("min-p keeps tokens at least that many times as likely as the likeliest", () => {
    const logits = logsOf([0.06, 0.5, 0.3, 0.14]);
    assert.deepEqual(support(logits, { minP: 0.27 }), [1, 2, 3]);
    assert.deepEqual(support(logits, { minP: 0.29 }), [1, 2]);
    assert.deepEqual(support(logits, { minP: 1 }), [1]);
    assert.deepEqual(support(logits, { minP: 0.29, topK: 4 }), [1, 2]);
  });

  it("penalizes earlier tokens and its own, once each: positive logits divided, negative multiplied", () => {
    const sampler = greedy({ repetitionPenalty: 2 });
    const logits = Float32Array.of(4, 3, 1.5, -1);
    sampler.see([0, 0]);
    assert.equal(sampler.sample(logits), 1, "4 became 2");
    assert.equal(sampler.sample(logits), 0, "3 became 1.5, 4 is still 2");
    assert.equal(sampler.sample(logits), 0);
    const negative = greedy({ repetitionPenalty: 2 });
    negative.see([0]);
    assert.equal(negative.sample(Float32Array.of(-1, -1.9, -5, -5)), 1, "-1 became -2");
    const rewarding = greedy({ repetitionPenalty: 0.5 });
    rewarding.see([2, 77]);
    assert.equal(rewarding.sample(Float32Array.of(4, 3, 2.5, -1)), 2, "below 1 it rewards");
  });

  it("never chooses an id beyond the vocabulary limit", () => {
    const logits = Float32Array.of(1, 2, 0, 50);
    for (const options of [
      { temperature: 0 },
      { temperature: 1 },
      { topK: 4 },
      { topP: 0.99 },
      { repetitionPenalty: 2 },
    ]) {
      const sampler = new Sampler(samplingSettings({ ...PLAIN, ...options }), 3, new RandomStream(2));
      for (let i = 0; i < 50; i++) assert.ok(sampler.sample(logits) < 3);
    }
  });

  it("draws nothing with probability 0, even at the ends of [0, 1)", () => {
    const logits = Float32Array.of(-Infinity, 1, -Infinity, 1, -Infinity);
    for (const options of [{}, { topK: 5 }, { topP: 0.9 }]) {
      for (const u of [0, 0.499, 0.501, 1 - 2 ** -53]) {
        const sampler = new Sampler(samplingSettings({ ...PLAIN, ...options }), 5, { uniform: () => u });
        assert.equal(sampler.sample(logits), u < 0.5 ? 1 : 3);
      }
    }
  });

  it("stays finite at temperatures near 0 and at infinite ones", () => {
    const logits = Float32Array.of(10, 30, -20);
    const at = (temperature: number) => support(logits, { temperature });
    assert.deepEqual(at(1e-30), [1]);
    assert.deepEqual(at(1e30), [0, 1, 2]);
  });

  it("refuses logits that give no distribution", () => {
    const bad = { NaN: [1, Number.NaN, 2], Infinity: [1, Infinity, 2], "-Infinity": [-Infinity, -Infinity, -Infinity] };
    for (const [name, logits] of Object.entries(bad)) {
      for (const options of [{ temperature: 0 }, { topK: 2 }, {}]) {
        const sampler = new Sampler(samplingSettings({ ...PLAIN, ...options }), 3, new RandomStream(1));
        assert.throws(
          () => sampler.sample(Float32Array.from(logits)),
          (error: Error) => {
            assert.ok(error instanceof GPT2Error);
            assert.match(error.message, new RegExp(`finite logits, got ${name}`));
            return true;
          },
        );
      }
    }
  });
});

describe("sampling options", () => {
  it("have defaults", () => {
    assert.deepEqual(samplingSettings({}), SAMPLING_DEFAULTS);
    assert.equal(samplingSettings({ topK: 3 }).topK, 3);
  });

  it("out of range are refused by name", () => {
    const bad: SamplingOptions[] = [
      { temperature: -0.1 },
      { temperature: Number.NaN },
      { topK: 1.5 },
      { topK: -1 },
      { topP: 1.01 },
      { minP: -0.5 },
      { repetitionPenalty: 0 },
      { repetitionPenalty: Infinity },
    ];
    for (const options of bad) {
      assert.throws(
        () => samplingSettings(options),
        (error: Error) => {
          return error instanceof UsageError && error.message.startsWith(`${Object.keys(options)[0]}: expected`);
        },
      );
    }
  });
});

describe("numbers behind the sampler", () => {
  it("e^x for x ≤ 0", () => {
    for (let x = -700; x <= 0; x += 0.0937) {
      assert.ok(Math.abs(expOfNegative(x) / Math.exp(x) - 1) < 1e-12, `at ${x}`);
    }
    assert.equal(expOfNegative(0), 1);
    assert.equal(expOfNegative(-701), 0);
    assert.equal(expOfNegative(-Infinity), 0);
    assert.ok(Number.isNaN(expOfNegative(Number.NaN)));
  });

  it("log-sum-exp, also of huge logits", () => {
    const logits = new RandomArrays(1).doubles(1000, 5);
    const naive = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    assert.ok(Math.abs(logSumExp(logits) - naive) < 1e-10);
    assert.ok(Math.abs(logSumExp(logits.map((x) => x + 1e6)) - naive - 1e6) < 1e-8);
  });

  it("the largest k, in order, ties by index: the same as a full sort", () => {
    const random = new RandomArrays(2);
    for (const size of [1, 2, 3, 10, 257]) {
      const values = random.integers(size, 20);
      const sorted = Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
      for (const count of new Set([1, 2, Math.ceil(size / 2), size - 1, size])) {
        if (count < 1 || count > size) continue;
        const ids = new Int32Array(size);
        largest(values, count, ids);
        assert.deepEqual([...ids.subarray(0, count)], sorted.slice(0, count));
      }
    }
  });
});
