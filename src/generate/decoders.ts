import type { ModelConfig } from "../architectures/config.js";
import { adapterBuffer, adapterGainBuffer, adapterIndexBuffer, type ParamTypes } from "../architectures/declare.js";
import { type DecodeShape, decodeProgram } from "../architectures/decode-program.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { ExecutableCache } from "../backend/executable-cache.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";

/** The common part of an engine's decode Programs. */
export interface DecodeContext {
  readonly config: ModelConfig;
  readonly types: ParamTypes;
  readonly shape: DecodeShape;
  /** Weights, cache, inputs and logits. */
  readonly bindings: Readonly<Record<string, DeviceArray>>;
}

/** Executables kept: each has temporary memory of its own. */
const CAPACITY = 4;

/** Decode Programs, one for each set of adapters that the tokens of a run use together. */
export class Decoders {
  readonly #backend: Backend;
  readonly #context: DecodeContext;
  readonly #prepared = new ExecutableCache<string>(CAPACITY);

  constructor(backend: Backend, context: DecodeContext) {
    this.#backend = backend;
    this.#context = context;
  }

  /** @param indices each adapter's rows of its gains, by token; in the order of `adapters` */
  for(adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Promise<Executable> {
    const key = adapters.map(({ id }) => id).join();
    return this.#prepared.get(key, () => this.#prepare(adapters, indices));
  }

  dispose(): void {
    this.#prepared.clear();
  }

  #prepare(adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Promise<Executable> {
    const { config, types, shape, bindings } = this.#context;
    const program = decodeProgram(config, shape, { types, adapters: adapters.map(({ ranks }) => ranks) });
    const bound: Record<string, DeviceArray> = { ...bindings };
    for (const [i, { tensors, gains }] of adapters.entries()) {
      for (const [name, array] of tensors) bound[adapterBuffer(i, name)] = array;
      bound[adapterGainBuffer(i)] = gains;
      bound[adapterIndexBuffer(i)] = indices[i]!;
    }
    return this.#backend.prepare(program, bound);
  }
}
