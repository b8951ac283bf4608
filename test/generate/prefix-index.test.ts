import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CostModel } from "../../src/generate/cost-model.js";
import { commonPrefix, PrefixIndex } from "../../src/generate/prefix-index.js";
import { RandomStream } from "../../src/util/random.js";

describe("the index of prefixes", () => {
  it("finds the same as a search through all contents, whatever is added and removed", () => {
    const random = new RandomStream(1);
    const index = new PrefixIndex();
    const contents = new Map<number, { key: string; tokens: number[] }>();
    const tokens = (length: number) => Array.from({ length }, () => random.below(3));
    for (let i = 0; i < 3000; i++) {
      const [slot, key] = [random.below(12), `key ${random.below(2)}`];
      const old = contents.get(slot);
      if (random.below(4) === 0) {
        index.remove(slot);
        contents.delete(slot);
      } else {
        const grows = old && random.below(2) === 0;
        const next = grows
          ? { key: old.key, tokens: [...old.tokens, ...tokens(3)] }
          : { key, tokens: tokens(random.below(9)) };
        index.set(slot, next.key, next.tokens);
        if (next.tokens.length > 0) contents.set(slot, next);
        else contents.delete(slot);
      }
      const wanted = tokens(random.below(12));
      const found = index.find(key, wanted);
      const lengths = [...contents].map(
        ([slot, c]) => [slot, c.key === key ? commonPrefix(c.tokens, wanted) : 0] as const,
      );
      const longest = Math.max(0, ...lengths.map(([, length]) => length));
      assert.equal(found.length, longest);
      const holders = lengths.flatMap(([slot, length]) => (longest > 0 && length === longest ? [slot] : []));
      assert.deepEqual([...found.slots].sort(), holders.sort());
    }
    assert.equal(index.size, contents.size);
  });
});

describe("the cost model", () => {
  it("learns the cost of runs, and forgets old costs", () => {
    const random = new RandomStream(2);
    const model = new CostModel();
    const learn = (cost: (tokens: number, keys: number) => number) => {
      for (let i = 0; i < 600; i++) {
        const [tokens, keys] = [1 + random.below(500), random.below(100_000)];
        model.observe({ tokens, keys, rows: 1 }, cost(tokens, keys));
      }
      for (const [tokens, keys] of [
        [1, 10],
        [300, 50_000],
        [500, 10_000],
      ] as const) {
        const [got, want] = [model.estimate({ tokens, keys, rows: 1 }), cost(tokens, keys)];
        assert.ok(Math.abs(got - want) < 0.05 * want + 0.05, `${got}, ${want}`);
      }
    };
    learn((tokens, keys) => 3 + 0.19 * tokens + 0.02 * (keys / 1000));
    learn((tokens, keys) => 9 + 0.5 * tokens + 0.1 * (keys / 1000));
    assert.equal(model.runs, 1200);
  });

  it("stays finite when all runs are alike, and expects no larger run to be faster", () => {
    const random = new RandomStream(3);
    const model = new CostModel();
    const alike = { tokens: 16, keys: 1000, rows: 1 };
    for (let i = 0; i < 20_000; i++) model.observe(alike, 5 + (random.uniform() - 0.5));
    const estimate = model.estimate(alike);
    assert.ok(Math.abs(estimate - 5) < 0.5);
    const larger = model.estimate({ tokens: 512, keys: 500_000, rows: 1 });
    assert.ok(Number.isFinite(larger) && larger >= estimate);
  });
});
