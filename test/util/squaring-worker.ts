/** A worker of worker-pool.test.ts. */
import { DataError } from "../../src/errors.js";
import { serveWork, type WorkHandler } from "../../src/util/worker-pool.js";

export interface Squaring {
  readonly offset: number;
}

/** Squares numbers of an array and adds an offset, which a message changes; some numbers cause failures. */
export function squaringHandler({ offset }: Squaring): WorkHandler<Float64Array, Float64Array, Squaring> {
  let add = offset;
  return {
    reply: (numbers) => {
      if (numbers[0] === -1) throw new DataError({ op: "squaring", expected: "no -1", got: "-1", cause: () => {} });
      if (numbers[0] === -2) throw new TypeError("no -2");
      if (numbers[0] === -3) process.exit(7);
      return numbers.map((x) => x * x + add);
    },
    transfer: ({ buffer }) => [buffer as ArrayBuffer],
    receive: (message) => {
      add = message.offset;
    },
  };
}

serveWork(squaringHandler);
