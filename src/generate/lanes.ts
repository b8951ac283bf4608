import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Engine, Sequence } from "./engine.js";

/** Most bytes of keys and values. */
const CACHE_BYTES = 2 ** 31;
/** The same where memory is committed as it is allocated; WebAssembly has 4 GiB in all. */
const EAGER_CACHE_BYTES = 2 ** 29;
/** Lazy memory is committed in pages of this size: the least that a sequence takes in each layer. */
const PAGE_BYTES = 2 ** 21;
const MAX_LANES = 32;

/**
 * The number of sequences to keep open at once: as many as are useful, within the memory limit.
 *
 * @param wanted number beyond which more are not faster
 * @param length most tokens in each
 */
export function laneCount({ config, backend, sequenceBytes }: Engine, wanted: number, length: number): number {
  const touched = Math.max((sequenceBytes * length) / config.nCtx, config.nLayer * PAGE_BYTES);
  const { lazyMemory } = backend.capabilities;
  const [limit, bytes] = lazyMemory ? [CACHE_BYTES, touched] : [EAGER_CACHE_BYTES, sequenceBytes];
  return Math.max(1, Math.min(MAX_LANES, wanted, Math.floor(limit / bytes)));
}

export interface LaneOptions {
  /** LoRA adapter on the model's weights. */
  readonly adapter?: LoadedAdapter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens `count` sequences that hold the same tokens, which are computed once.
 *
 * @param tokens may be empty
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

/** Length of the common prefix. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let n = 0;
  while (n < end && a[n] === b[n]) n++;
  return n;
}

/** Anything with input tokens. */
export interface Reader {
  readonly tokens: readonly number[];
}

/** A reader that shares less than this part of its tokens with the one before starts a new list. */
const WORTH_SHARING = 1 / 4;
/** Number of tokens that a run of the engine computes about as fast as one. */
const SMALL = 64;

/**
 * Sorts readers into lists, each to run in one sequence so that a common prefix is computed once: the four endings of a
 * context, the ten candidates of a sentence. Lists are independent of each other. A family whose parts are long beside
 * their common prefix is cut into several lists, so that there is enough to run side by side.
 */
export function sharePrefixes<R extends Reader>(readers: readonly R[]): R[][] {
  const sorted = [...readers].sort((a, b) => compareTokens(a.tokens, b.tokens));
  const lists: { readonly readers: R[]; work: number }[] = [];
  for (const reader of sorted) {
    const { length } = reader.tokens;
    const list = lists.at(-1);
    const before = list?.readers.at(-1);
    const shared = before ? commonPrefix(before.tokens, reader.tokens) : 0;
    const first = list?.readers[0]?.tokens.length ?? 0;
    const cut = list !== undefined && list.work - first > Math.max(SMALL, 2 * shared);
    if (list && shared > WORTH_SHARING * length && !cut) {
      list.readers.push(reader);
      list.work += length - shared;
    } else {
      lists.push({ readers: [reader], work: length });
    }
  }
  // Longest first: the last lists are short, and all lanes finish together.
  return lists.sort((a, b) => b.work - a.work).map(({ readers }) => readers);
}

/** Lexicographic order, which puts common prefixes side by side. */
function compareTokens(a: readonly number[], b: readonly number[]): number {
  const n = commonPrefix(a, b);
  return n < a.length && n < b.length ? a[n]! - b[n]! : a.length - b.length;
}

/** The common prefix of all readers. */
export function sharedByAll(readers: readonly Reader[]): readonly number[] {
  let shared = readers[0]?.tokens ?? [];
  for (const { tokens } of readers) shared = shared.slice(0, commonPrefix(shared, tokens));
  return shared;
}
