import type { Engine, Sequence } from "../generate/engine.js";
import type { LoadedAdapter } from "../generate/loaded-adapter.js";

/** Bytes of keys and values that an evaluation may hold. */
const CACHE_BYTES = 2 ** 31;
/** WebAssembly has 4 GiB for everything, and reserves what the native backend only promises. */
const WASM_CACHE_BYTES = 2 ** 29;
const MAX_LANES = 32;

/**
 * Sequences that an evaluation keeps open at once: enough to fill runs of the engine, and no more than memory allows.
 *
 * @param length tokens that each will hold at most.
 */
export function laneCount({ config, backend }: Engine, jobs: number, length: number): number {
  const row = 2 * config.nEmbd * config.nLayer * Float32Array.BYTES_PER_ELEMENT;
  // Native memory that is never touched costs nothing, so there a lane costs what it holds; elsewhere a whole context.
  const [limit, rows] = backend.name === "native" ? [CACHE_BYTES, length] : [WASM_CACHE_BYTES, config.nCtx];
  return Math.max(1, Math.min(MAX_LANES, jobs, Math.floor(limit / (row * rows))));
}

export interface LaneOptions {
  /** What is added to the model's weights. */
  readonly adapter?: LoadedAdapter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens `count` sequences that hold the same tokens, which are computed once.
 *
 * @param tokens may be none.
 */
export async function openLanes(
  engine: Engine,
  count: number,
  tokens: readonly number[],
  { adapter, signal }: LaneOptions,
): Promise<Sequence[]> {
  const first = engine.sequence(adapter);
  try {
    if (tokens.length > 0) await engine.extend([{ sequence: first, tokens, logits: 0 }], undefined, signal);
    return count > 1 ? [first, ...(await engine.fork(first, count - 1))] : [first];
  } catch (error) {
    first.release();
    throw error;
  }
}

/** Length of the longest beginning that both have. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let n = 0;
  while (n < end && a[n] === b[n]) n++;
  return n;
}
