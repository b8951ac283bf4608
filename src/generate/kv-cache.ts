import type { ModelConfig } from "../architectures/config.js";
import { cacheBuffer } from "../architectures/declare.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import { byteLength, type CacheType } from "../dtype/dtype.js";

/** A slot of the cache in use. */
export interface CachedSequence {
  readonly slot: number;
  /** Tokens. */
  readonly length: number;
}

/**
 * Keys and values of several sequences: one array [slots · nCtx, 2C] for each layer, with each sequence in rows from
 * slot · nCtx on. There are no pages: a slot has room for a whole context, but memory that no token has reached is only
 * reserved, and the system commits it on first use. So a sequence's rows are contiguous, and attention needs no table.
 */
export class KvCache {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #type: CacheType;
  #slots = 0;
  #layers: DeviceArray[] = [];

  constructor(backend: Backend, config: ModelConfig, type: CacheType) {
    this.#type = type;
    this.#backend = backend;
    this.#config = config;
  }

  /** Capacity in sequences. */
  get slots(): number {
    return this.#slots;
  }

  /** Capacity in rows. */
  get rows(): number {
    return this.#slots * this.#config.nCtx;
  }

  /** Bytes of one sequence as long as the context. */
  get slotBytes(): number {
    const { nCtx, nEmbd, nLayer } = this.#config;
    return byteLength(this.#type, 2 * nEmbd * nCtx * nLayer);
  }

  /** Arrays by buffer name. */
  get bindings(): Record<string, DeviceArray> {
    return Object.fromEntries(this.#layers.map((array, layer) => [cacheBuffer(layer), array]));
  }

  /** Grows to `slots` sequences. Replaces the arrays, and copies the slots in use. */
  async grow(slots: number, inUse: Iterable<CachedSequence>): Promise<void> {
    const { nCtx, nEmbd, nLayer } = this.#config;
    const W = 2 * nEmbd;
    const old = this.#layers;
    const layers = Array.from({ length: nLayer }, () => this.#backend.alloc(this.#type, slots * nCtx * W));
    for (const { slot, length } of inUse) {
      const start = slot * nCtx * W;
      for (const [layer, array] of old.entries()) {
        await layers[layer]!.copyFrom(array.slice(start, length * W), start);
      }
    }
    this.#layers = layers;
    this.#slots = slots;
    for (const array of old) array.dispose();
  }

  /** Copies rows [start, end) of one slot to another, on the device. */
  async copy(from: number, to: number, start: number, end: number): Promise<void> {
    if (from === to || start >= end) return;
    const { nCtx, nEmbd } = this.#config;
    const W = 2 * nEmbd;
    for (const array of this.#layers) {
      await array.copyFrom(array.slice((from * nCtx + start) * W, (end - start) * W), (to * nCtx + start) * W);
    }
  }

  dispose(): void {
    for (const array of this.#layers) array.dispose();
    this.#layers = [];
    this.#slots = 0;
  }
}
