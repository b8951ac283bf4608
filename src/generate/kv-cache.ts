import type { ModelConfig } from "../architectures/config.js";
import { cacheBuffer } from "../architectures/declare.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import { byteLength } from "../dtype/dtype.js";
import { type Program, Recorder } from "../program/program.js";

/** A slot of the cache that is in use. */
export interface CachedSequence {
  readonly slot: number;
  /** Tokens. */
  readonly length: number;
}

/**
 * Keys and values of several sequences: one array [slots · nCtx, 2C] for each layer, a sequence in rows slot · nCtx
 * onwards. Memory that no token has reached is reserved, not used.
 */
export class KvCache {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  #slots = 0;
  #layers: DeviceArray[] = [];

  constructor(backend: Backend, config: ModelConfig) {
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
    return byteLength("f32", 2 * nEmbd * nCtx * nLayer);
  }

  /** By buffer name. */
  get bindings(): Record<string, DeviceArray> {
    return Object.fromEntries(this.#layers.map((array, layer) => [cacheBuffer(layer), array]));
  }

  /** Grows to `slots` sequences. The arrays are others afterwards; those in use keep what they hold. */
  async grow(slots: number, inUse: Iterable<CachedSequence>): Promise<void> {
    const { nCtx, nEmbd, nLayer } = this.#config;
    const W = 2 * nEmbd;
    const old = this.#layers;
    const layers = Array.from({ length: nLayer }, () => this.#backend.alloc("f32", slots * nCtx * W));
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

  dispose(): void {
    for (const array of this.#layers) array.dispose();
    this.#layers = [];
    this.#slots = 0;
  }
}

/** Copies rows of every layer's cache: row from[n] to row to[n]. Size: N. */
export function copyRowsProgram({ nLayer, nEmbd }: ModelConfig, maxRows: number, cacheRows: number): Program {
  const k = new Recorder("copy-rows");
  const N = k.sym("N", maxRows);
  const W = 2 * nEmbd;
  const [from, to] = [k.external("from", [N], "i32"), k.external("to", [N], "i32")];
  for (let layer = 0; layer < nLayer; layer++) {
    const name = cacheBuffer(layer);
    const cache = k.external(name, [cacheRows, W]);
    const rows = k.temp(`${name}.rows`, [N, W]);
    k.op("gatherRows", name, { out: rows, x: cache, index: from }, { N, W }, {});
    k.op("scatterRows", name, { dst: cache, src: rows, index: to }, { N, W, ldsrc: W, lddst: W }, {});
  }
  return k.build();
}
