import assert from "node:assert/strict";
import { it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { ShapeError } from "../../src/errors.js";
import { LAYOUTS, type OpCase, opCase, PreparedCase } from "./op-case.js";
import { RandomArrays } from "./random-arrays.js";

const random = new RandomArrays(9);
const floats = (n: number): Float32Array => random.floats(n);
const [N, C] = [2, 3];

function embedding(tokens: number[], positions: number[]): OpCase[] {
  const index = { tokens: Int32Array.from(tokens), positions: Int32Array.from(positions) };
  const [wte, wpe] = [floats(4 * C), floats(5 * C)];
  return [
    opCase("embeddingForward", "f", { out: floats(N * C), ...index, wte, wpe }, { N, C }, {}),
    opCase("embeddingBackward", "b", { dwte: wte, dwpe: wpe, dout: floats(N * C), ...index }, { N, C }, {}),
  ];
}

function attention(first: number[], last: number[]): OpCase[] {
  const dims = { N, NH: 1, HS: C, ldq: C, ldkv: C };
  const scalars = { scale: 1, p: 0, key0: 0, key1: 0 };
  const [q, k, v, out, lse] = [floats(N * C), floats(N * C), floats(N * C), floats(N * C), floats(N)];
  const gradients = { dq: floats(N * C), dk: floats(N * C), dv: floats(N * C), dout: floats(N * C) };
  const see = { first: Int32Array.from(first), last: Int32Array.from(last) };
  return [
    opCase("attentionForward", "f", { out, q, k, v, ...see }, dims, scalars),
    opCase("attentionBackward", "b", { ...gradients, out, lse, q, k, v, ...see }, dims, scalars),
  ];
}

function rows(values: number[]): OpCase[] {
  const index = Int32Array.from(values);
  const [dims, gain] = [{ N, W: C }, floats(4 * C)];
  return [
    opCase("gatherRows", "g", { out: floats(N * C), x: floats(4 * C), index }, dims, {}),
    opCase("scatterRows", "s", { dst: floats(4 * C), src: floats(N * C), index }, { ...dims, ldsrc: C, lddst: C }, {}),
    opCase("scaleColumns", "c", { out: floats(N * C), x: floats(N * C), gain, index }, { N, C }, {}),
  ];
}

function loss(values: number[]): OpCase[] {
  const targets = Int32Array.from(values);
  return [
    opCase("crossEntropy", "ce", { losses: floats(N), logits: floats(N * C), targets }, { N, V: C }, { scale: 1 }),
  ];
}

const FAR = 1e8;
const CASES: readonly [string, RegExp, OpCase[]][] = [
  ["a token beyond the vocabulary", /tokens\[1\]: expected an index from 0 to 3, got 4/, embedding([0, 4], [0, 1])],
  ["a token far beyond it", /tokens\[0\].*got 100000000/, embedding([FAR, 0], [0, 1])],
  ["a negative token", /tokens\[0\].*got -1/, embedding([-1, 0], [0, 1])],
  ["a position beyond the context", /positions\[0\]: .* from 0 to 4, got 5/, embedding([0, 1], [5, 0])],
  ["a key row that is not there", /last\[1\]: .* from 0 to 1, got 2/, attention([0, 0], [0, 2])],
  ["a first row after the last", /first\[1\]: .* from 0 to 0, got 1/, attention([0, 1], [0, 0])],
  ["a negative first row", /first\[0\].*got -1/, attention([-1, 0], [0, 1])],
  ["a row far beyond a table", /index\[1\]: .* from 0 to 3, got 100000000/, rows([3, FAR])],
  ["a target beyond the classes", /targets\[0\]: expected an index below 3, got 3/, loss([3, 0])],
  ["a target far beyond them", /targets\[1\].*got 100000000/, loss([0, FAR])],
];

/** No index beyond a tensor reaches a kernel, whatever code wrote it. */
export function indexContract(makeBackend: () => Backend | Promise<Backend>): void {
  for (const [name, message, ops] of CASES) {
    it(`${name} is refused by ${ops.map(({ kind }) => kind).join(", ")}`, async () => {
      const backend = await makeBackend();
      for (const test of ops) {
        await assert.rejects(new PreparedCase(backend, test, LAYOUTS[0]!).run(), (error) => {
          assert.ok(error instanceof ShapeError, String(error));
          assert.match(error.message, message);
          return true;
        });
      }
    });
  }

  it("a negative target stands for none", async () => {
    const backend = await makeBackend();
    for (const test of loss([-1, -FAR])) await new PreparedCase(backend, test, LAYOUTS[0]!).run();
  });
}
