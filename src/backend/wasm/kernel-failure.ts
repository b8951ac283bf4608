import { BackendError } from "../../errors.js";

/** What a machine reports when its worker could not start, or a kernel trapped (on a token beyond the vocabulary, say). */
export function kernelFailure(error: unknown): BackendError {
  return new BackendError({
    op: "wasm backend",
    got: error instanceof Error ? error.message : String(error),
    hint: "This backend can't be used any more; make a new one",
    cause: error,
  });
}
