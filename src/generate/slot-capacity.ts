import type { Engine } from "./engine.js";

/** Memory limit of keys and values, in bytes. */
const CACHE_BYTES = 2 ** 31;
/** The limit where memory is committed when it is allocated. WebAssembly has 4 GiB in all. */
const EAGER_CACHE_BYTES = 2 ** 29;
const MAX_SLOTS = 32;

/** The number of sequences to compute together: as many as are useful within the memory limit. */
export function slotCapacity({ backend, sequenceBytes }: Engine): number {
  const limit = backend.capabilities.lazyMemory ? CACHE_BYTES : EAGER_CACHE_BYTES;
  return Math.max(1, Math.min(MAX_SLOTS, Math.floor(limit / sequenceBytes)));
}
