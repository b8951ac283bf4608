import { UsageError } from "../errors.js";
import { defaultThreads } from "./usable-cpus.js";

/** Maximum number of worker threads in a pool. */
const MOST_WORKERS = 1024;
/** Bytes of text that are worth the start of a worker. */
const WORKER_BYTES = 1 << 19;

/** @param op what they do, for the error. @throws {UsageError} a number of worker threads that is out of range. */
export function checkWorkers(op: string, workers: number | undefined): void {
  if (workers === undefined || (Number.isInteger(workers) && workers >= 0 && workers <= MOST_WORKERS)) return;
  throw new UsageError({ op: `${op}: workers`, expected: `a number from 0 to ${MOST_WORKERS}`, got: String(workers) });
}

/** One worker per core; none if starting them takes longer than the work. */
export function defaultWorkers(bytes: number): number {
  return bytes < WORKER_BYTES ? 0 : Math.min(defaultThreads(), Math.ceil(bytes / WORKER_BYTES));
}
