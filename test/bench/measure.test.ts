import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { disagreement } from "../../bench/agreement.js";
import { allCases } from "../../bench/cases.js";
import { type LimitGauge, measureCase, type Runner, shareOfLimit, timesAsFast } from "../../bench/measure.js";
import { gpt2Config } from "../../src/model/config.js";

const decode = allCases(gpt2Config("gpt2"), 1).find(({ name }) => name === "decode-8-f32")!;

/** A machine whose limit takes these values one after another, then stays at the last. */
function machine(values: readonly number[]): LimitGauge {
  let [next, best] = [0, 0];
  return {
    sample: async () => {
      const value = values[Math.min(next++, values.length - 1)]!;
      best = Math.max(best, value);
      return value;
    },
    best: () => best,
  };
}

/** A contender that decodes its 64 tokens at these rates, run after run; the first run is the warm-up. */
function runner(name: string, rates: readonly number[], calls: string[] = []): Runner {
  let next = 0;
  return {
    name,
    request: async () => {
      calls.push(name);
      const rate = rates[next++ % rates.length]!;
      return { ids: [], seconds: [9, ...Array.from({ length: 64 }, () => 1 / rate)] };
    },
  };
}

const near = (got: number | undefined, expected: number) =>
  assert.ok(got !== undefined && Math.abs(got - expected) < 1e-9 * expected, `${got}, not ${expected}`);

describe("measureCase", () => {
  it("takes turns, every other round in reverse", async () => {
    const calls: string[] = [];
    const runners = [runner("a", [1], calls), runner("b", [1], calls)];
    await measureCase(decode, runners, { repeats: 3, retries: 0 });
    assert.equal(calls.join(""), "ababbaab");
  });

  it("leaves disturbed rounds out and does them again", async () => {
    // Three samples a round: round 2 has a slow one in its middle.
    const gauge = machine([100, 98, 99, 97, 50, 99, 100]);
    const rates = [1, 10, 4, 12];
    const result = await measureCase(decode, [runner("a", rates), runner("b", [5])], {
      repeats: 2,
      retries: 2,
      gauge,
      pauseSeconds: 0,
    });
    assert.equal(result.rounds.length, 3);
    assert.equal(result.counted.length, 2);
    assert.equal(result.disturbed, false);
    near(result.rates.a?.median, 11);
    near(timesAsFast(result, "a", "b"), 2.2);
    near(shareOfLimit(result, "a"), (11 * decode.limit.perToken) / 100);
  });

  it("holds earlier rounds against a better machine that shows later", async () => {
    const gauge = machine([50, 50, 50, 50, 100]);
    const result = await measureCase(decode, [runner("a", [1, 5, 6, 10])], {
      repeats: 1,
      retries: 3,
      gauge,
      pauseSeconds: 0,
    });
    assert.equal(result.rounds.length, 1, "nothing better was known yet");
    const again = await measureCase(decode, [runner("a", [1, 5, 6, 10])], {
      repeats: 2,
      retries: 3,
      gauge,
      pauseSeconds: 0,
    });
    assert.deepEqual(
      again.counted.map(({ limits }) => limits),
      [
        [100, 100],
        [100, 100],
      ],
    );
  });

  it("gives up after the retries, and says so", async () => {
    const gauge = machine([100, 100, ...Array.from({ length: 20 }, () => 60)]);
    const result = await measureCase(decode, [runner("a", [1])], { repeats: 3, retries: 2, gauge, pauseSeconds: 0 });
    assert.equal(result.rounds.length, 5);
    assert.equal(result.counted.length, 1);
    assert.equal(result.disturbed, true);
  });

  it("works without a gauge", async () => {
    const result = await measureCase(decode, [runner("a", [1, 2, 3])], { repeats: 2, retries: 2 });
    assert.equal(result.rounds.length, 2);
    assert.equal(result.limit, undefined);
    assert.equal(shareOfLimit(result, "a"), undefined);
  });
});

describe("disagreement", () => {
  it("compares greedy ids one by one", () => {
    const expected = { ids: [1, 2, 3], seconds: [] };
    assert.equal(disagreement({ ids: [1, 2, 3], seconds: [] }, expected, "f32"), undefined);
    assert.equal(disagreement({ ids: [1, 7, 3], seconds: [] }, expected, "f32"), "greedy id 1 is 7, not 2");
    assert.equal(disagreement({ ids: [1, 2], seconds: [] }, expected, "f32"), "greedy id 2 is undefined, not 3");
  });

  it("lets rounded weights lead elsewhere after a while", () => {
    const expected = { ids: [1, 2, 3, 4, 5, 6], seconds: [] };
    assert.equal(disagreement({ ids: [1, 2, 3, 4, 9, 9], seconds: [] }, expected, "f16"), undefined);
    assert.match(disagreement({ ids: [1, 2, 9, 4, 5, 6], seconds: [] }, expected, "f16")!, /greedy id 2/);
    assert.match(disagreement({ ids: [9], seconds: [] }, expected, "q8_0")!, /greedy id 0/);
  });

  it("allows losses what float32 does, the second with the optimizer's step", () => {
    const expected = { losses: [12.5, 11], seconds: [] };
    assert.equal(disagreement({ losses: [12.5001, 11.005], seconds: [] }, expected, "f32"), undefined);
    assert.match(
      disagreement({ losses: [12.501, 11], seconds: [] }, expected, "f32")!,
      /before step 1 is 12.501, not 12.5/,
    );
    assert.match(disagreement({ losses: [12.5, 11.02], seconds: [] }, expected, "f32")!, /before step 2/);
    assert.match(disagreement({ losses: [Number.NaN, 11], seconds: [] }, expected, "f32")!, /NaN/);
  });
});
