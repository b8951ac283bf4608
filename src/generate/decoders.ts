import { adapterBuffer, adapterGainBuffer, adapterIndexBuffer, type ParamTypes } from "../architectures/declare.js";
import { type DecodeShape, decodeProgram } from "../architectures/decode-program.js";
import type { GPT2Config } from "../architectures/gpt2/config.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";

/** What all decode Programs of an engine share. */
export interface DecodeContext {
  readonly config: GPT2Config;
  readonly types: ParamTypes;
  readonly shape: DecodeShape;
  /** Weights, cache, inputs and logits. */
  readonly bindings: Readonly<Record<string, DeviceArray>>;
}

/** Programs kept: each has temporary memory of its own. */
const KEPT = 4;

/** Decode Programs, one for each set of adapters that the tokens of a run use together. */
export class Decoders {
  readonly #backend: Backend;
  readonly #context: DecodeContext;
  /** The one last used comes last. */
  readonly #prepared = new Map<string, Executable>();

  constructor(backend: Backend, context: DecodeContext) {
    this.#backend = backend;
    this.#context = context;
  }

  /** @param indices each adapter's rows of its gains, by token; in the order of `adapters` */
  for(adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Executable {
    const key = adapters.map(({ id }) => id).join();
    const executable = this.#prepared.get(key) ?? this.#prepare(adapters, indices);
    this.#prepared.delete(key);
    this.#prepared.set(key, executable);
    for (const oldest of this.#prepared.keys()) {
      if (this.#prepared.size <= KEPT) break;
      this.#prepared.delete(oldest);
    }
    return executable;
  }

  #prepare(adapters: readonly LoadedAdapter[], indices: readonly DeviceArray[]): Executable {
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
