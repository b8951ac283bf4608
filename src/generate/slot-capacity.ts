import type { Engine } from "./engine.js";

/** Most bytes of keys and values. */
const CACHE_BYTES = 2 ** 31;
/** The same where memory is committed as it is allocated; WebAssembly has 4 GiB in all. */
const EAGER_CACHE_BYTES = 2 ** 29;
const MAX_SLOTS = 32;

/** The number of sequences to compute side by side: as many as are useful, within the memory limit. */
export function slotCapacity({ backend, sequenceBytes }: Engine): number {
  const limit = backend.capabilities.lazyMemory ? CACHE_BYTES : EAGER_CACHE_BYTES;
  return Math.max(1, Math.min(MAX_SLOTS, Math.floor(limit / sequenceBytes)));
}
