/** Small models for the tests of generation, and the backends to run them on. */

import type { ModelConfig } from "../../src/architectures/config.js";
import type { ComputeOptions } from "../../src/architectures/decode-program.js";
import { gptNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { type StoredTensor, storedTensor } from "../../src/checkpoint/stored-tensor.js";
import type { WeightType } from "../../src/dtype/dtype.js";
import { BackendError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { Tokenizer, vocabularyFromMerges } from "../../src/tokenizer/index.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { TESTING_ALL, THREADS } from "../helpers/tested-isas.js";

let native: Promise<Backend | undefined> | undefined;
let portable: Promise<Backend[]> | undefined;

async function makeNative(): Promise<Backend | undefined> {
  try {
    return await nativeBackend({ threads: THREADS });
  } catch (error) {
    if (error instanceof BackendError) return undefined;
    throw error;
  }
}

/** The backends of this machine, by name, the slowest first. All tests of a process share them and leave them undisposed. */
export async function backends(): Promise<Backend[]> {
  native ??= makeNative();
  portable ??= Promise.all([referenceBackend(), wasmBackend({ threads: THREADS })]);
  const fast = await native;
  return fast ? [...(await portable), fast] : portable;
}

/** The fastest of them. */
export async function fastestBackend(): Promise<Backend> {
  native ??= makeNative();
  return (await native) ?? (await backends()).at(-1)!;
}

/** The backends for tests that do not depend on the backend: in `npm test` only the fastest. */
export async function testedBackends(): Promise<Backend[]> {
  return TESTING_ALL ? backends() : [await fastestBackend()];
}

/** The 256 bytes and `<|endoftext|>`. */
export const byteTokenizer = (): Tokenizer => new Tokenizer(vocabularyFromMerges(new Uint32Array(0)));

export const BYTES = 257;
export const END_OF_TEXT_ID = 256;

/** Awkward sizes: nothing is a multiple of a vector's width. */
export const ODD: GPT2Config = gpt2Config({ vocabSize: BYTES, nCtx: 21, nEmbd: 15, nHead: 3, nLayer: 2, nInner: 37 });
/** The same as a GPT-Neo whose local window is shorter than a sequence. */
export const NEO = gptNeoConfig({ ...ODD, architecture: "gpt-neo", nLayer: 3, windowSize: 4 });
/** One head, one layer, a width of one vector plus one. */
export const ONE_HEAD: GPT2Config = gpt2Config({ vocabSize: 7, nCtx: 9, nEmbd: 17, nHead: 1, nLayer: 1 });

export function seededWeights(backend: Backend, config: ModelConfig, seed = 1): Map<string, DeviceArray> {
  const weights = new Map<string, DeviceArray>();
  for (const [{ name }, values] of seededTensors(config, seed)) {
    const array = backend.alloc("f32", values.length);
    array.write(values);
    weights.set(name, array);
  }
  return weights;
}

/** A model of random weights over bytes. */
export function byteModel(backend: Backend, config: ModelConfig = ODD, seed = 1): GPT2 {
  return new GPT2({ backend, config, weights: seededWeights(backend, config, seed), tokenizer: byteTokenizer() });
}

/** Its weights as in an f32 file. */
export function storedTensors(config: ModelConfig, seed: number): StoredTensor[] {
  return Array.from(seededTensors(config, seed), ([{ name, shape }, data]) => {
    const source = memorySource(name, new Uint8Array(data.buffer));
    return storedTensor({ name, dtype: "f32", shape, storedAs: "out_in", source, offset: 0 });
  });
}

/** The model of such a file, held in another type; it computes in f32 unless options say otherwise. */
export async function byteModelIn(
  dtype: WeightType,
  backend: Backend,
  config: ModelConfig,
  seed: number,
  options: ComputeOptions = {},
): Promise<GPT2> {
  const weights = await loadWeights(backend, config, storedTensors(config, seed), { dtype });
  return new GPT2({ backend, config, weights, tokenizer: byteTokenizer(), compute: "f32", kv: "f32", ...options });
}

/**
 * A true GPT-2 whose weights make it recite: after a prompt of one token the likeliest next tokens are those of
 * `script`, whatever was chosen before. Its blocks add nothing; position p's embedding points at the token to come, and
 * the embeddings of all tokens are at right angles.
 */
export function recitingTensors(script: readonly number[], nCtx = script.length): RecitingModel {
  const config = gpt2Config({ vocabSize: BYTES, nCtx, nEmbd: BYTES, nHead: 1, nLayer: 1, nInner: 1 });
  const tensors = tensorTable(config).map(({ name, shape, init }) => {
    const data = new Float32Array(numel(shape));
    if (init === "one") data.fill(1);
    if (name === "wte.weight") for (let id = 0; id < BYTES; id++) data[id * BYTES + id] = 1;
    if (name === "wpe.weight") for (const [p, id] of script.entries()) data[p * BYTES + id] = 20;
    return { name, shape, data };
  });
  return { config, tensors, bosTokenId: END_OF_TEXT_ID, eosTokenIds: [END_OF_TEXT_ID] };
}

export interface RecitingModel {
  readonly bosTokenId: number;
  readonly eosTokenIds: readonly number[];
  readonly config: GPT2Config;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: Float32Array;
  }[];
}

export function recitingModel(backend: Backend, script: readonly number[] | string, nCtx?: number): GPT2 {
  const ids = typeof script === "string" ? [...byteTokenizer().encode(script)] : script;
  const { config, tensors } = recitingTensors(ids, nCtx);
  const weights = new Map<string, DeviceArray>();
  for (const { name, data } of tensors) {
    const array = backend.alloc("f32", data.length);
    array.write(data);
    weights.set(name, array);
  }
  return new GPT2({ backend, config, weights, tokenizer: byteTokenizer() });
}
