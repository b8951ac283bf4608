import { ConstraintLimitError } from "../errors.js";

/** Runs what may recurse, or spread a list, beyond what the stack holds, which then counts as a limit. */
export function bounded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) throw new ConstraintLimitError("levels and alternatives", 10_000);
    throw error;
  }
}
