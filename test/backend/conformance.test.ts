import { describe, it } from "node:test";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { BackendError } from "../../src/errors.js";
import { backendContract } from "../helpers/backend-contract.js";
import { conformance, sameBits } from "../helpers/conformance.js";
import { F32_TOLERANCES, REFERENCE_F32_TOLERANCES } from "../helpers/tolerances.js";

conformance("reference f32", () => referenceBackend({ precision: "f32" }), REFERENCE_F32_TOLERANCES);

/** The instruction sets to test, or why there are none. */
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
  backendContract("native, 2 threads", () => nativeBackend({ threads: 2 }));
  for (const isa of isas) {
    conformance(`native ${isa}, 1 thread`, () => nativeBackend({ isa, threads: 1 }), F32_TOLERANCES);
    sameBits(`native ${isa}, 1, 2 and 3 threads`, () => [1, 2, 3].map((threads) => nativeBackend({ isa, threads })));
  }
});
