import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HostArray } from "../../src/backend/backend.js";
import { KERNELS } from "../../src/backend/reference/kernels.js";
import { extentOf } from "../../src/program/op-spec.js";
import { OP_KINDS, specOf } from "../../src/program/ops.js";
import { type OpCase, Packed } from "../helpers/op-case.js";
import { OP_TESTS } from "../helpers/ops/index.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

/** An array that records how far it was read or written. */
function watched(array: HostArray): { array: HostArray; touched: () => number } {
  let end = 0;
  const touch = (key: string | symbol): void => {
    const index = typeof key === "string" ? Number(key) : Number.NaN;
    if (!Number.isInteger(index)) return;
    if (index < 0 || index >= array.length) assert.fail(`element ${index} of ${array.length}`);
    end = Math.max(end, index + 1);
  };
  const proxy = new Proxy(array, {
    get(target, key) {
      touch(key);
      if (key === "fill") {
        return (value: number, from: number, to: number) => {
          end = Math.max(end, from < to ? to : 0);
          target.fill(value, from, to);
        };
      }
      return Reflect.get(target, key);
    },
    set(target, key, value) {
      touch(key);
      return Reflect.set(target, key, value);
    },
  });
  return { array: proxy, touched: () => end };
}

type AnyKernel = (tensors: object, dims: object, scalars: object) => void;

/** The number of elements, from its start, that the reference kernel touches of each tensor of a case. */
function touchedBy(test: OpCase): Map<string, number> {
  const contents = Object.fromEntries(Object.entries(test.buffers).map(([name, values]) => [name, values.slice()]));
  const views = Object.entries(test.parts).map(
    ([role, { buffer, at }]) => [role, watched(contents[buffer]!.subarray(at))] as const,
  );
  const tensors = Object.fromEntries(views.map(([role, { array }]) => [role, array]));
  (KERNELS[test.kind] as unknown as AnyKernel)(tensors, test.dims, test.scalars);
  return new Map(views.map(([role, { touched }]) => [role, touched()]));
}

const LARGE = TESTING_ALL ? 12_000 : 3_000;
/** The reference kernels get packed weights in decoded form. */
const isSmallAndPlain = ({ buffers }: OpCase): boolean => {
  const all = Object.values(buffers);
  return (
    all.reduce((sum, { length }) => sum + length, 0) < LARGE && !all.some((contents) => contents instanceof Packed)
  );
};

describe("the shapes of the table of operations", () => {
  for (const kind of OP_KINDS) {
    it(`${kind}: exactly the elements that the kernel touches`, () => {
      const reached = new Set<string>();
      const indexed = new Set<string>();
      for (const test of (OP_TESTS[kind].cases as readonly OpCase[]).filter(isSmallAndPlain)) {
        for (const [role, touched] of touchedBy(test)) {
          const extent = extentOf(specOf(kind).tensors[role]!, test.dims);
          if (extent === 0) indexed.add(role);
          else assert.ok(touched <= extent, `${test.name}: ${role} touched up to ${touched} of ${extent}`);
          if (touched === extent && touched > 0) reached.add(role);
        }
      }
      // Some case reaches the end of each tensor, unless an index determines its extent.
      for (const role of Object.keys(specOf(kind).tensors)) {
        assert.ok(reached.has(role) || indexed.has(role), `${role}: no case reaches its extent`);
      }
    });
  }
});
