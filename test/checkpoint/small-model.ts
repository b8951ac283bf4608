/** A GPT-2 of a few hundred parameters, and its files in memory, for tests that damage them. */

import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { GPT2_HUGGING_FACE } from "../../src/architectures/gpt2/formats/huggingface.js";
import { GPT2_LLMC } from "../../src/architectures/gpt2/formats/llmc.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { LLMC_HEADER_BYTES, type LlmcDtype, llmcHeader, llmcLayout } from "../../src/checkpoint/llmc.js";
import type { SafetensorsDtype } from "../../src/checkpoint/safetensors.js";
import { encodeFloats, FLOAT_BYTES, type FloatDtype } from "../../src/dtype/floats.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import { configJson as huggingFaceConfig, huggingFaceShape } from "../../src/pretrained/formats/huggingface-write.js";
import { openLlmc } from "../../src/pretrained/formats/llmc.js";
import { type Checkpoint, encodeSafetensors, memoryFiles, type SafetensorsInput } from "../../src/pretrained/index.js";
import type { NamedTensor } from "../../src/pretrained/node.js";
import { RandomArrays } from "../helpers/random-arrays.js";

/** Odd sizes, so that a swapped dimension shows. */
export const SMALL: GPT2Config = gpt2Config({ vocabSize: 11, nCtx: 5, nEmbd: 6, nHead: 2, nLayer: 2 });

export function randomTensors(config: GPT2Config, seed: number): NamedTensor[] {
  const random = new RandomArrays(seed);
  return tensorTable(config).map(({ name, shape }) => ({ name, shape, data: random.floats(numel(shape), 0.5) }));
}

/** Values in the model's layout, by name. */
export function readAll({ tensors }: Checkpoint): Map<string, Float32Array> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const values = new Float32Array(numel(tensor.shape));
      tensor.readInto(values);
      return [name, values];
    }),
  );
}

/** [out, in] to [in, out] in the plainest way: not the code under test. */
export function transposed(data: Float32Array, [rows = 0, cols = 0]: readonly number[]): Float32Array {
  return Float32Array.from({ length: data.length }, (_, i) => data[(i % rows) * cols + Math.floor(i / rows)]!);
}

const NAMES: Readonly<Record<FloatDtype, SafetensorsDtype>> = { f32: "F32", f16: "F16", bf16: "BF16", f64: "F64" };

export function encoded(dtype: FloatDtype, data: Float32Array): Uint8Array {
  const bytes = new Uint8Array(data.length * FLOAT_BYTES[dtype]);
  encodeFloats(dtype, data, bytes);
  return bytes;
}

/** The tensors as Hugging Face holds them, without prefix, ready for `encodeSafetensors`. */
export function huggingFaceTensors(
  config: GPT2Config,
  tensors: readonly NamedTensor[],
  dtype: FloatDtype = "f32",
): SafetensorsInput[] {
  return tensorTable(config).map((spec, i) => {
    const { name, shape, data } = tensors[i]!;
    const values = spec.conv1d ? transposed(data, shape) : data;
    return { name, dtype: NAMES[dtype], shape: huggingFaceShape(spec), data: encoded(dtype, values) };
  });
}

export function configJson(config: GPT2Config, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const tokens = { bosTokenId: 10, eosTokenIds: [10] };
  return { ...huggingFaceConfig({ config, tensors: [], ...tokens }, GPT2_HUGGING_FACE, "f32"), ...changes };
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

/** Loads from memory; files are named config.json and model.safetensors. */
export function loadSmall(config: unknown, weights: Uint8Array): Checkpoint {
  const json = config instanceof Uint8Array ? config : jsonBytes(config);
  return openHuggingFace(
    "model.safetensors",
    memoryFiles("small", { "config.json": json, "model.safetensors": weights }),
  );
}

/** A safetensors file with any header, right or wrong. */
export function rawSafetensors(header: unknown, data: Uint8Array, claimedLength?: bigint): Uint8Array {
  const json = header instanceof Uint8Array ? header : jsonBytes(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, claimedLength ?? BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

export function llmcFile(config: GPT2Config, tensors: readonly NamedTensor[], dtype: LlmcDtype = "f32"): Uint8Array {
  const dims = GPT2_LLMC.writeConfig(config, "model.bin");
  const layout = llmcLayout(dims);
  const file = new Uint8Array(LLMC_HEADER_BYTES + layout.count * FLOAT_BYTES[dtype]);
  file.set(llmcHeader(dims, dtype));
  for (const [i, spec] of tensorTable(config).entries()) {
    file.set(encoded(dtype, tensors[i]!.data), GPT2_LLMC.offset(spec, { ...layout, dtype }));
  }
  return file;
}

export function loadSmallLlmc(bytes: Uint8Array): Checkpoint {
  return openLlmc("model.bin", memoryFiles("model.bin", { "model.bin": bytes }));
}

export function smallSafetensors(seed = 1, dtype: FloatDtype = "f32"): Uint8Array {
  return encodeSafetensors(huggingFaceTensors(SMALL, randomTensors(SMALL, seed), dtype), { format: "pt" });
}
