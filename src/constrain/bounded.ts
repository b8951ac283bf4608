import { ConstraintLimitError } from "../errors.js";

/** Runs code whose recursion, or spread lists, may overflow the stack; that counts as exceeding a limit. */
export function bounded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) throw new ConstraintLimitError("levels and alternatives", 10_000);
    throw error;
  }
}
