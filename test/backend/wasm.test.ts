import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type WasmOptions, wasmBackend } from "../../src/backend/wasm/index.js";
import { BackendError, OutOfMemoryError, UsageError } from "../../src/errors.js";
import { Recorder } from "../../src/program/program.js";
import { backendContract } from "../helpers/backend-contract.js";

/** One of each for all tests of a suite, as in a program. */
function once(options: WasmOptions) {
  let backend: ReturnType<typeof wasmBackend> | undefined;
  return () => (backend ??= wasmBackend(options));
}

for (const place of ["workers", "worker", "here"] as const) {
  const options = { place, threads: 2 };
  backendContract(`wasm, ${place}`, once(options), () => wasmBackend(options));
}

/** A linear layer whose weight is a whole gibibyte. */
function gibibyteProgram() {
  const k = new Recorder("gibibyte");
  const size = 2 ** 28;
  k.op("fill", "fill", { x: k.external("x", [size]) }, { size: 4 }, { value: 1 });
  return { program: k.build(), size };
}

describe("wasm: limits", () => {
  for (const place of ["workers", "worker", "here"] as const) {
    it(`4 GiB, ${place}: an error that says so, and later runs work`, async () => {
      const backend = await wasmBackend({ place, threads: 1 });
      const { program, size } = gibibyteProgram();
      const arrays = Array.from({ length: 3 }, () => backend.alloc("f32", size));
      const refused = async () => {
        const last = backend.alloc("f32", size);
        await last.read(0, 1);
      };
      await assert.rejects(
        refused,
        (error: Error) => error instanceof OutOfMemoryError && /4294967296/.test(error.message),
      );
      const x = arrays[2]!;
      await (await backend.prepare(program, { x })).run();
      assert.deepEqual([...(await x.read(2, 4))], [1, 1, 0, 0]);
      const small = backend.alloc("i32", 3);
      small.write([1, 2, 3]);
      assert.deepEqual([...(await small.read())], [1, 2, 3]);
    });
  }

  for (const place of ["workers", "worker", "here"] as const) {
    it(`a kernel that traps, ${place}: this run and all later ones fail, and nothing hangs`, async () => {
      const backend = await wasmBackend({ place, threads: 2 });
      const k = new Recorder("trap");
      k.op("fill", "x", { x: k.external("x", [4]) }, { size: 4 }, { value: 1 });
      // A Program beyond the end of memory, which a Recorder would refuse.
      const { ops, ...program } = k.build();
      const far = { ...program, ops: ops.map((op) => ({ ...op, dims: [2 ** 30] })) };
      const executable = await backend.prepare(far, { x: backend.alloc("f32", 4) });
      await assert.rejects(executable.run(), BackendError);
      await assert.rejects(executable.run(), BackendError);
    });
  }

  it("refuses impossible options", async () => {
    await assert.rejects(wasmBackend({ threads: 0 }), UsageError);
    await assert.rejects(wasmBackend({ threads: 65 }), UsageError);
  });
});
