/** Conformance of the backends that few machines use: the reference in single precision, older instruction sets. */
import { describe, it } from "node:test";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { BackendError } from "../../src/errors.js";
import { conformance, sameBits } from "../helpers/conformance.js";
import { LAYOUTS } from "../helpers/op-case.js";

/**
 * Operations are divided among threads in the same way on all instruction sets, so each set but the best runs only some
 * of the cases, a different part each. WebAssembly, the same C code on threads of another kind, runs every other case.
 */
const STEP = 3;

conformance("reference f32", () => referenceBackend({ precision: "f32" }), "referenceTolerance", LAYOUTS.slice(1));

for (const relaxed of [true, false]) {
  const name = relaxed ? "relaxed SIMD" : "SIMD";
  conformance(`wasm, ${name}, 2 threads`, () => wasmBackend({ relaxed, threads: 2 }));
}
for (const relaxed of [true, false]) {
  sameBits(
    `wasm, ${relaxed ? "relaxed SIMD" : "SIMD"}, on 1, 2 and 3 threads, a worker and the calling thread`,
    () =>
      Promise.all([
        wasmBackend({ relaxed, place: "here" }),
        wasmBackend({ relaxed, place: "worker" }),
        ...[1, 2, 3].map((threads) => wasmBackend({ relaxed, threads })),
      ]),
    relaxed ? 2 : STEP,
  );
}

/** The instruction sets to test, or the reason why there are none. */
function available(): string[] | string {
  try {
    return nativeIsas();
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

describe("native", () => {
  const isas = available();
  if (typeof isas === "string") {
    it("conforms to the reference", { skip: isas }, () => {});
    return;
  }
  for (const [i, isa] of isas.entries()) {
    if (i > 0) conformance(`native ${isa}, 1 thread`, () => nativeBackend({ isa, threads: 1 }));
    sameBits(
      `native ${isa}, 1, 2 and 3 threads`,
      () => Promise.all([1, 2, 3].map((threads) => nativeBackend({ isa, threads }))),
      i === 0 ? 1 : STEP,
      i,
    );
  }
});
