import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { disagreement } from "../../bench/agreement.js";
import { allCases } from "../../bench/cases.js";
import { bestOf, type LimitGauge, measureCase, type Runner, shareOfLimit, timesAsGood } from "../../bench/measure.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";

const cases = allCases(gpt2Config("gpt2"), 1);
const decode = cases.find(({ name }) => name === "decode-8-f32")!;
const start = cases.find(({ name }) => name === "start-q8_0")!;

/** A machine whose limit has these values one after another, then stays at the last. */
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
      const seconds = [9, ...Array.from({ length: 64 }, () => 1 / rate)];
      return { result: { ids: [], seconds }, secondsSinceStart: 1 / rate };
    },
  };
}

const near = (got: number | undefined, expected: number) =>
  assert.ok(got !== undefined && Math.abs(got - expected) < 1e-9 * expected, `${got}, not ${expected}`);

describe("measureCase", () => {
  it("alternates, every other round in reverse", async () => {
    const calls: string[] = [];
    const runners = [runner("a", [1], calls), runner("b", [1], calls)];
    await measureCase(decode, runners, { repeats: 3, retries: 0 });
    assert.equal(calls.join(""), "ababbaab");
  });

  it("repeats a disturbed run, and only that", async () => {
    // Before the round; after a; after b, disturbed; before b's second run; after it.
    const gauge = machine([100, 98, 50, 96, 100]);
    const calls: string[] = [];
    const runners = [runner("a", [1, 10], calls), runner("b", [1, 4, 5], calls)];
    const result = await measureCase(decode, runners, { repeats: 1, retries: 1, gauge, pauseSeconds: 0 });
    assert.equal(calls.join(""), "ababb");
    assert.equal(result.disturbed, false);
    assert.deepEqual(result.rounds[0]!.b!.limits, [96, 100]);
    near(result.figures.b?.median, 5);
    near(timesAsGood(result, "a", "b"), 2);
    // Each against the limit around its own run.
    near(shareOfLimit(result, "a"), (10 * decode.limit.perToken!) / 99);
    near(shareOfLimit(result, "b"), (5 * decode.limit.perToken!) / 98);
  });

  it("waits for the machine before it retries", async () => {
    const gauge = machine([100, 60, 50, 70, 95, 100]);
    const calls: string[] = [];
    const runners = [runner("a", [1, 2, 3], calls)];
    const result = await measureCase(decode, runners, { repeats: 1, retries: 1, gauge, pauseSeconds: 0 });
    assert.equal(calls.length, 3);
    assert.deepEqual(result.rounds[0]!.a, { figure: result.figures.a!.median, limits: [95, 100] });
  });

  it("judges earlier rounds by a better machine that shows later", async () => {
    const gauge = machine([50, 50, 50, 100]);
    const result = await measureCase(decode, [runner("a", [1, 5, 6, 10])], {
      repeats: 2,
      retries: 3,
      gauge,
      pauseSeconds: 0,
    });
    // In the second round the machine recovered only at the end of the run, which was retried.
    assert.equal(result.rounds.length, 3);
    assert.deepEqual(
      result.counted.map((round) => round.a!.limits),
      [
        [100, 100],
        [100, 100],
      ],
    );
  });

  it("gives up after the retries, and says so", async () => {
    const gauge = machine([100, 100, ...Array.from({ length: 20 }, () => 60)]);
    const calls: string[] = [];
    const runners = [runner("a", [1], calls)];
    const result = await measureCase(decode, runners, { repeats: 3, retries: 2, gauge, pauseSeconds: 0 });
    // The warm-up, three rounds, and two retries.
    assert.equal(calls.length, 6);
    assert.equal(result.rounds.length, 3);
    assert.equal(result.counted.length, 1);
    assert.equal(result.disturbed, true);
  });

  it("continues without contenders that fail, on request", async () => {
    const failing = (name: string, after: number): Runner => {
      const { request } = runner(name, [7]);
      let calls = 0;
      return { name, request: async (task) => (calls++ < after ? request(task) : Promise.reject(new Error("no"))) };
    };
    const failed: string[] = [];
    const runners = [runner("a", [1]), failing("b", 2), failing("c", 0)];
    const options = { repeats: 3, retries: 0, onFailure: (name: string) => failed.push(name) };
    const result = await measureCase(decode, runners, options);
    assert.deepEqual(failed, ["c", "b"]);
    assert.deepEqual(Object.keys(result.figures), ["a"]);
    assert.equal(result.rounds.length, 3);
    assert.equal(timesAsGood(result, "a", "c"), undefined);
    await assert.rejects(measureCase(decode, [failing("b", 2)], { repeats: 3, retries: 0 }), /^Error: no$/);
  });

  it("prefers the smaller of two times", async () => {
    const runners = [runner("a", [10]), runner("b", [2]), runner("c", [5])];
    const result = await measureCase(start, runners, { repeats: 1, retries: 0 });
    near(result.figures.a?.median, 100);
    near(timesAsGood(result, "a", "b"), 5);
    assert.equal(bestOf(result, ["b", "c"]), "c");
    assert.equal(bestOf(result, ["nobody"]), undefined);
    assert.equal(shareOfLimit(result, "a"), undefined);
  });

  it("works without a gauge", async () => {
    const result = await measureCase(decode, [runner("a", [1, 2, 3])], { repeats: 2, retries: 2 });
    assert.equal(result.rounds.length, 2);
    assert.equal(result.limit, undefined);
    assert.equal(shareOfLimit(result, "a"), undefined);
  });
});

describe("disagreement", () => {
  it("compares a batch's first sequence with a known result, and most of the others", () => {
    const batch = (...ids: number[][]) => ({ ids, seconds: [] });
    const known = batch([1, 2]);
    assert.equal(disagreement(batch([1, 2], [5, 6]), known, "f32"), undefined);
    assert.equal(disagreement(batch([1, 3], [5, 6]), known, "f32"), "greedy id 1 of sequence 0 is 3, not 2");
    const other = batch([1, 2], [5, 6], [7, 8]);
    assert.equal(disagreement(batch([1, 2], [5, 9], [7, 8]), other, "f32"), undefined);
    assert.equal(disagreement(batch([1, 2], [5, 9], [0, 8]), other, "f32"), "greedy id 1 of sequence 1 is 9, not 6");
  });

  it("compares greedy ids one by one", () => {
    const expected = { ids: [1, 2, 3], seconds: [] };
    assert.equal(disagreement({ ids: [1, 2, 3], seconds: [] }, expected, "f32"), undefined);
    assert.equal(disagreement({ ids: [1, 7, 3], seconds: [] }, expected, "f32"), "greedy id 1 is 7, not 2");
    assert.equal(disagreement({ ids: [1, 2], seconds: [] }, expected, "f32"), "greedy id 2 is undefined, not 3");
  });

  it("accepts that rounded weights diverge after a while", () => {
    const expected = { ids: [1, 2, 3, 4, 5, 6], seconds: [] };
    assert.equal(disagreement({ ids: [1, 2, 3, 4, 9, 9], seconds: [] }, expected, "f16"), undefined);
    assert.match(disagreement({ ids: [1, 2, 9, 4, 5, 6], seconds: [] }, expected, "f16")!, /greedy id 2/);
    assert.match(disagreement({ ids: [9], seconds: [] }, expected, "q8_0")!, /greedy id 0/);
  });

  it("allows losses the error of float32, the second with the optimizer's step", () => {
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
