import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { BackendError, UsageError } from "../../src/errors.js";
import { Recorder } from "../../src/program/program.js";
import { backendContract } from "../helpers/backend-contract.js";
import { conformance, sameBits } from "../helpers/conformance.js";
import { LAYOUTS } from "../helpers/op-case.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

/** The instruction sets to test, or the reason why there are none. */
function available(): string[] | string {
  try {
    return nativeIsas();
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

/** One in so many cases is compared bit by bit; conformance.long.test.ts compares all, with more threads. */
const STEP = TESTING_ALL ? 3 : 12;

/**
 * WebAssembly runs on one thread, which saves waiting for others; sameBits has two threads. conformance.long.test.ts
 * has plain SIMD, more places and numbers of threads. Both are in this file so that the reference's results serve
 * native kernels too.
 */
conformance("wasm, relaxed SIMD", () => wasmBackend({ relaxed: true, place: "here" }), "tolerance", LAYOUTS.slice(1));
sameBits(
  "wasm, relaxed SIMD, on 2 threads and a worker",
  () => Promise.all([wasmBackend({ relaxed: true, place: "worker" }), wasmBackend({ relaxed: true, threads: 2 })]),
  STEP,
);

describe("native", () => {
  const isas = available();
  if (typeof isas === "string") {
    it("conforms to the reference", { skip: isas }, () => {});
    return;
  }
  backendContract("native, 2 threads", () => nativeBackend({ threads: 2 }));
  // The best instruction set; conformance.long.test.ts has the others, and more threads.
  for (const isa of isas.slice(0, 1)) {
    conformance(`native ${isa}, 1 thread`, () => nativeBackend({ isa, threads: 1 }));
    sameBits(
      `native ${isa}, 1 and 2 threads`,
      () => Promise.all([1, 2].map((threads) => nativeBackend({ isa, threads }))),
      STEP,
    );
  }

  describe("settings from the environment", () => {
    const { GPT2_ISA, GPT2_THREADS } = process.env;
    afterEach(() => {
      for (const [name, value] of Object.entries({ GPT2_ISA, GPT2_THREADS })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });

    it("GPT2_ISA forces an instruction set, unless the caller does", async () => {
      for (const isa of isas) {
        process.env.GPT2_ISA = isa;
        assert.equal((await nativeBackend({ threads: 1 })).isa, isa);
        assert.equal((await nativeBackend({ threads: 1, isa: isas[0]! })).isa, isas[0]);
      }
      process.env.GPT2_ISA = "";
      assert.equal((await nativeBackend({ threads: 1 })).isa, isas[0], "the best");
      process.env.GPT2_ISA = "avx1024";
      await assert.rejects(nativeBackend({ threads: 1 }), { name: "BackendError", message: /avx1024/ });
    });

    it("GPT2_THREADS sets the number of threads", async () => {
      process.env.GPT2_THREADS = "3";
      assert.equal((await nativeBackend()).capabilities.threads, 3);
      process.env.GPT2_THREADS = "many";
      await assert.rejects(nativeBackend(), UsageError);
    });
  });

  it("the team uses no processor time between runs", async () => {
    const backend = await nativeBackend({ threads: 4 });
    const k = new Recorder("fill");
    k.op("fill", "fill", { x: k.external("x", [8]) }, { size: 8 }, { value: 1 });
    await (await backend.prepare(k.build(), { x: backend.alloc("f32", 8) })).run();
    await delay(50); // for the last checks before sleeping
    const before = process.cpuUsage();
    await delay(400);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 200_000, `${user + system} microseconds`);
  });
});
