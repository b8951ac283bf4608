import type { ModelConfig } from "../../src/architectures/config.js";
import { architectureOf, tensorTable } from "../../src/architectures/registry.js";
import { TokenArrays, tokenInputs } from "../../src/architectures/token-inputs.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { Recorder } from "../../src/program/program.js";
import { seededTensors } from "../helpers/seeded-weights.js";

const computed = new Map<string, Promise<Float64Array>>();

/**
 * Logits [T, V] of a seeded model without a cache, in double precision: the oracle of all code with one. They are computed
 * once for all backends, and must not be changed.
 */
export function fullForward(config: ModelConfig, seed: number, ids: readonly number[]): Promise<Float64Array> {
  const key = JSON.stringify([config, seed, ids]);
  let logits = computed.get(key);
  if (!logits) computed.set(key, (logits = compute(config, seed, ids)));
  return logits;
}

async function compute(config: ModelConfig, seed: number, ids: readonly number[]): Promise<Float64Array> {
  const backend = await referenceBackend({ precision: "f64" });
  const T = ids.length;
  const k = new Recorder("full-forward");
  const { forward, head } = architectureOf(config);
  const tensors = new Map(tensorTable(config).map(({ name, shape }) => [name, k.external(name, shape)]));
  const p = { tensor: (name: string) => tensors.get(name)!, adapters: () => [] };
  const { hidden } = forward(k, config, p, tokenInputs(k, config, T));
  const logits = k.external("logits", [T, config.vocabSize]);
  const dims = { N: T, IC: config.nEmbd, OC: config.vocabSize };
  k.op("linearForward", "head", { out: logits, x: hidden, weight: p.tensor(head(config)) }, dims, { act: "none" });
  const arrays = Object.fromEntries(
    k
      .build()
      .buffers.flatMap(({ name, dtype, size, external }) => (external ? [[name, backend.alloc(dtype, size)]] : [])),
  );
  for (const [{ name }, values] of seededTensors(config, seed)) arrays[name]!.write(values);
  const positions = Int32Array.from(ids, (_, t) => t);
  const inputs = new TokenArrays(backend, config, T);
  inputs.write({ tokens: Int32Array.from(ids), positions, first: new Int32Array(T), last: positions }, T);
  Object.assign(arrays, inputs.bindings);
  await (await backend.prepare(k.build(), arrays)).run();
  return (await arrays.logits!.read()) as Float64Array;
}

/** Log-softmax of one row, in the plainest way. */
export function logSoftmax(row: ArrayLike<number>): number[] {
  const values = Array.from(row);
  const max = Math.max(...values);
  const logSum = max + Math.log(values.reduce((sum, x) => sum + Math.exp(x - max), 0));
  return values.map((x) => x - logSum);
}
