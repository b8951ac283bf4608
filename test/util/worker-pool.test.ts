import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { DataError, GPT2Error } from "../../src/errors.js";
import { WorkerPool } from "../../src/util/worker-pool.js";
import { squaringHandler } from "./squaring-worker.js";

function squaringPool(workers: number) {
  const start = (options: object) => new Worker(new URL("./squaring-worker.js", import.meta.url), options);
  return new WorkerPool({ op: "squaring", start, data: { offset: 1 }, workers, handler: squaringHandler });
}

async function* numbers(count: number): AsyncGenerator<Float64Array, void, undefined> {
  for (let i = 0; i < count; i++) yield Float64Array.of(i);
}

for (const workers of [0, 1, 3]) {
  describe(`a pool of ${workers} workers`, () => {
    it("replies in the order of the requests, and receives messages in between", async () => {
      const pool = squaringPool(workers);
      try {
        const replies = async () => {
          const found: number[] = [];
          for await (const [x] of pool.map(numbers(50), ({ buffer }) => [buffer as ArrayBuffer])) found.push(x!);
          return found;
        };
        const squares = (offset: number) => Array.from({ length: 50 }, (_, i) => i * i + offset);
        assert.deepEqual(await replies(), squares(1));
        pool.broadcast({ offset: 5 });
        assert.deepEqual(await replies(), squares(5));
      } finally {
        await pool.close();
      }
    });

    it("passes errors on, its own with class and details", async () => {
      const pool = squaringPool(workers);
      try {
        await assert.rejects(pool.run(Float64Array.of(-1)), (error: Error) => {
          assert.ok(error instanceof DataError);
          assert.equal(error.details.got, "-1");
          return true;
        });
        await assert.rejects(pool.run(Float64Array.of(-2)), /no -2/);
        assert.deepEqual(await pool.run(Float64Array.of(3)), Float64Array.of(10), "it goes on");
      } finally {
        await pool.close();
      }
    });
  });
}

it("fails pending and later requests when a worker ends", async () => {
  const pool = squaringPool(1);
  const waiting = [pool.run(Float64Array.of(-3)), pool.run(Float64Array.of(2))];
  for (const work of waiting)
    await assert.rejects(
      work,
      /squaring: expected a worker that runs until its pool is closed, got one that ended with code 7/,
    );
  await assert.rejects(pool.run(Float64Array.of(2)), GPT2Error);
  await pool.close();
});
