import type { Engine, Sequence } from "../generate/engine.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";

/** Bytes of keys and values that an evaluation may hold. */
const CACHE_BYTES = 2 ** 31;
/** WebAssembly has 4 GiB for everything, and reserves what the native backend only promises. */
const WASM_CACHE_BYTES = 2 ** 29;
/** Native memory is had in pages of this size: the least that a sequence takes of each layer. */
const PAGE_BYTES = 2 ** 21;
const MAX_LANES = 32;

/**
 * Sequences that an evaluation keeps open at once: as many as are of use, and no more than memory allows.
 *
 * @param wanted more would not be faster.
 * @param length tokens that each will hold at most.
 */
export function laneCount({ config, backend, sequenceBytes }: Engine, wanted: number, length: number): number {
  const touched = Math.max((sequenceBytes * length) / config.nCtx, config.nLayer * PAGE_BYTES);
  const [limit, bytes] = backend.name === "native" ? [CACHE_BYTES, touched] : [WASM_CACHE_BYTES, sequenceBytes];
  return Math.max(1, Math.min(MAX_LANES, wanted, Math.floor(limit / bytes)));
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
