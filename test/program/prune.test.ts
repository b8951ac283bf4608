import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Program, Recorder, type Tensor } from "../../src/program/program.js";
import { prune } from "../../src/program/prune.js";

const SHAPE = [3, 4];

function recorded(record: (k: Recorder, x: Tensor, y: Tensor) => void): Program {
  const k = new Recorder("test");
  record(k, k.external("x", SHAPE), k.external("y", SHAPE));
  return prune(k.build());
}

const copy = (k: Recorder, name: string, out: Tensor, x: Tensor): void =>
  k.op("activation", name, { out, x }, { N: 3, C: 4 }, { act: "none" });
const names = ({ ops }: Program): string[] => ops.map(({ name }) => name);

describe("prune", () => {
  it("keeps ops that lead to an external buffer, in order, and drops the rest", () => {
    const program = recorded((k, x, y) => {
      const [a, b, c] = [k.temp("a", SHAPE), k.temp("b", SHAPE), k.temp("c", SHAPE)];
      copy(k, "a", a, x);
      copy(k, "b", b, a);
      copy(k, "c", c, b);
      copy(k, "y", y, a);
    });
    assert.deepEqual(names(program), ["a", "y"]);
    assert.deepEqual(
      program.buffers.map(({ name }) => name),
      ["x", "y", "a"],
    );
  });

  it("drops a write that comes after the last read, and keeps an update that is read later", () => {
    const program = recorded((k, x, y) => {
      const sum = k.temp("sum", SHAPE);
      copy(k, "first", sum, x);
      k.op("dropout", "update", { out: sum, x, residual: sum }, { N: 3, C: 4 }, { p: 0, key0: 0, key1: 0 });
      copy(k, "y", y, sum);
      k.op("dropout", "late", { out: sum, x, residual: sum }, { N: 3, C: 4 }, { p: 0, key0: 0, key1: 0 });
    });
    assert.deepEqual(names(program), ["first", "update", "y"]);
  });

  it("drops optional results unless they are read", () => {
    const norm = (k: Recorder, x: Tensor, y: Tensor, mean: Tensor): void => {
      const [weight, bias] = [k.external("weight", [4]), k.external("bias", [4])];
      const rstd = k.temp("rstd", [3]);
      k.op("layernormForward", "ln", { out: y, mean, rstd, x, weight, bias }, { N: 3, C: 4 }, { epsilon: 1e-5 });
    };
    const unread = recorded((k, x, y) => norm(k, x, y, k.temp("mean", [3])));
    assert.deepEqual(
      unread.ops[0]!.tensors.map((t) => t?.buffer.name),
      ["y", undefined, undefined, "x", "weight", "bias"],
    );
    const bound = recorded((k, x, y) => norm(k, x, y, k.external("mean", [3])));
    assert.equal(bound.ops[0]!.tensors[1]?.buffer.name, "mean");
  });
});
