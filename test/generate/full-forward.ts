import type { GPT2Config } from "../../src/architectures/gpt2/config.js";
import { forward, tokenInputs } from "../../src/architectures/gpt2/forward.js";
import { paramTree } from "../../src/architectures/gpt2/params.js";
import { tensorTable } from "../../src/architectures/gpt2/tensors.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { Recorder } from "../../src/program/program.js";
import { seededTensors } from "../helpers/seeded-weights.js";

/** Logits [T, V] of a seeded model without any cache, in double precision: the oracle of everything that has one. */
export async function fullForward(config: GPT2Config, seed: number, ids: readonly number[]): Promise<Float64Array> {
  const backend = await referenceBackend({ precision: "f64" });
  const T = ids.length;
  const k = new Recorder("full-forward");
  const shapes = new Map(tensorTable(config).map(({ name, shape }) => [name, shape]));
  const p = paramTree(config, (name) => k.external(name, shapes.get(name)!));
  const { lnF } = forward(k, config, p, tokenInputs(k, T));
  const logits = k.external("logits", [T, config.vocabSize]);
  const dims = { N: T, IC: config.nEmbd, OC: config.vocabSize };
  k.op("linearForward", "head", { out: logits, x: lnF.out, weight: p.wte }, dims, { act: "none" });
  const arrays = Object.fromEntries(
    k
      .build()
      .buffers.flatMap(({ name, dtype, size, external }) => (external ? [[name, backend.alloc(dtype, size)]] : [])),
  );
  for (const [{ name }, values] of seededTensors(config, seed)) arrays[name]!.write(values);
  const positions = ids.map((_, t) => t);
  const inputs = { tokens: ids, positions, first: ids.map(() => 0), last: positions };
  for (const [name, values] of Object.entries(inputs)) arrays[name]!.write(values);
  await (await backend.prepare(k.build(), arrays)).run();
  return (await arrays.logits!.read()) as Float64Array;
}

/** log softmax of one row, as plainly as can be. */
export function logSoftmax(row: ArrayLike<number>): number[] {
  const values = Array.from(row);
  const max = Math.max(...values);
  const logSum = max + Math.log(values.reduce((sum, x) => sum + Math.exp(x - max), 0));
  return values.map((x) => x - logSum);
}
