import type { ModelConfig } from "../architectures/config.js";
import { adapterBuffer, adapterGainBuffer, adapterIndexBuffer, type ParamTypes } from "../architectures/declare.js";
import {
  type ComputeOptions,
  type DecodeShape,
  decodeProgram,
  defaultPrecision,
} from "../architectures/decode-program.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { ExecutableCache } from "../backend/executable-cache.js";
import { isIntegerType } from "../dtype/dtype.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { RunPath } from "./chunks.js";

/** The common part of an engine's decode Programs. */
export interface DecodeContext extends ComputeOptions {
  readonly config: ModelConfig;
  readonly types: ParamTypes;
  readonly shape: DecodeShape;
  /** Weights, cache, inputs and logits. */
  readonly bindings: Readonly<Record<string, DeviceArray>>;
}

/** Number of Executables kept: each has its own temporary memory. */
const CAPACITY = 6;
/** Most adapters of a Program. Each one adds a few percent to every token of a run. */
const MAX_ADAPTERS = 8;

/**
 * Decode Programs: for each path one without adapters, and one for all recently used adapters. Tokens that do not use an
 * adapter take a row of zero gains, so requests mix freely without a Program for each set of adapters.
 */
export class Decoders {
  readonly #backend: Backend;
  readonly #context: DecodeContext;
  readonly #prepared = new ExecutableCache<string>(CAPACITY);
  /** Ordered by last use. */
  #recent: readonly LoadedAdapter[] = [];

  constructor(backend: Backend, context: DecodeContext) {
    this.#backend = backend;
    this.#context = context;
  }

  /** The adapters of the Program to run for tokens that use `adapters`. */
  adaptersFor(used: ReadonlySet<LoadedAdapter>): readonly LoadedAdapter[] {
    if (used.size === 0) return [];
    const others = this.#recent.filter((adapter) => !used.has(adapter));
    const room = Math.max(used.size, MAX_ADAPTERS) - used.size;
    this.#recent = [...others.slice(others.length - Math.min(room, others.length)), ...used];
    return [...this.#recent].sort((a, b) => a.id - b.id);
  }

  /** @param indices each adapter's rows of its gains, by token; in the order of `adapters` */
  for(path: RunPath, adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Promise<Executable> {
    const key = [path, ...adapters.map(({ id }) => id)].join();
    return this.#prepared.get(key, () => this.#prepare(path, adapters, indices));
  }

  dispose(): void {
    this.#prepared.clear();
  }

  #prepare(path: RunPath, adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Promise<Executable> {
    const { config, types, kv, shape, bindings } = this.#context;
    const { capabilities } = this.#backend;
    // Few tokens stay with integer products, which read weights at the speed of memory.
    const integers = path === "streamed" && [...types.values()].some(isIntegerType);
    const chosen = this.#context.compute ?? defaultPrecision(types, path === "packed" ? capabilities : undefined);
    const compute = integers ? "f32" : chosen;
    const ranks = adapters.map(({ ranks }) => ranks);
    const program = decodeProgram(config, shape, { types, compute, kv, adapters: ranks, path });
    const bound: Record<string, DeviceArray> = { ...bindings };
    for (const [i, { tensors, gains }] of adapters.entries()) {
      for (const [name, array] of tensors) bound[adapterBuffer(i, name)] = array;
      bound[adapterGainBuffer(i)] = gains;
      bound[adapterIndexBuffer(i)] = indices[i]!;
    }
    return this.#backend.prepare(program, bound);
  }
}
