import { nativeIsas } from "../../src/backend/native/index.js";
import { BackendError } from "../../src/errors.js";

/** Whether this is `npm run test:all`, which goes through every instruction set and variant of WebAssembly. */
export const TESTING_ALL = process.env.GPT2_TEST_ALL === "1";

/** The reason why `npm test` skips a test: it is like others that run, or takes long. */
export const LIKE_OTHERS: string | false = TESTING_ALL ? false : "in npm run test:all";

/** Number of threads where it does not matter: small models take longer on two, which wait for each other. */
export const THREADS = TESTING_ALL ? 2 : 1;

/**
 * The instruction sets on which whole models are tested: the best one and, in `npm run test:all`, all others. There are
 * none if the kernels don't load; the conformance suite says why.
 */
export function testedIsas(): string[] {
  try {
    return TESTING_ALL ? nativeIsas() : nativeIsas().slice(0, 1);
  } catch (error) {
    if (error instanceof BackendError) return [];
    throw error;
  }
}
