import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { trainProgram } from "../../src/architectures/programs.js";
import { checkIndices, indexChecks } from "../../src/program/index-checks.js";
import { OP_KINDS, specOf } from "../../src/program/ops.js";
import { at, Recorder } from "../../src/program/program.js";

describe("index checks", () => {
  it("of a training step cover its inputs, each once", () => {
    const [N, layers] = [8, 3];
    const config = gpt2Config({ vocabSize: 11, nCtx: 7, nEmbd: 4, nHead: 2, nLayer: layers });
    const checks = indexChecks(trainProgram(config, N));
    const found = checks.map(({ buffer, limit, optional, upTo }) => [buffer.name, limit, optional, upTo?.buffer.name]);
    assert.deepEqual(found.sort(), [
      ["first", N, false, "last"],
      ["last", N, false, undefined],
      ["positions", 7, false, undefined],
      ["targets", 11, true, undefined],
      ["tokens", 11, false, undefined],
    ]);
  });

  it("use the smallest of several tables, and handle strided rows", () => {
    const k = new Recorder("p");
    const N = k.sym("N", 3);
    const [out, index] = [k.external("out", [3, 2]), k.external("index", [3], "i32")];
    k.op("gatherRows", "a", { out, x: k.external("x", [9, 2]), index }, { N, W: 2 }, {});
    k.op("gatherRows", "b", { out, x: k.external("y", [5, 2]), index }, { N, W: 2 }, {});
    const cache = k.external("cache", [30]);
    const rows = { N, W: 2, ldsrc: 2, lddst: 4 };
    k.op("scatterRows", "s", { dst: at(cache, 3), src: out, index: k.external("row", [3], "i32") }, rows, {});
    const program = k.build();
    const checks = indexChecks(program);
    // The last row ends at 3 + 6 · 4 + 2 = 29 of 30.
    assert.deepEqual(
      checks.map(({ buffer, limit }) => [buffer.name, limit]),
      [
        ["index", 5],
        ["row", 7],
      ],
    );
    const check = (size: number, values: number[]) =>
      checkIndices(
        program,
        checks,
        () => size,
        () => Int32Array.from(values),
      );
    check(3, [0, 4, 3]);
    check(1, [4, 5, 5]); // beyond this run's rows
    assert.throws(() => check(3, [0, 4, 5]), /program p: index\[2\]: expected an index from 0 to 4, got 5/);
  });

  it("are enough, because no operation writes an index", () => {
    for (const kind of OP_KINDS) {
      for (const [role, { access, dtype }] of Object.entries(specOf(kind).tensors)) {
        assert.ok(dtype !== "i32" || access === "read", `${kind}: ${role}`);
      }
    }
  });
});
