import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { tensorTable } from "../architectures/registry.js";
import { scoreSpec, type TaskHead } from "../architectures/task-head.js";
import { numel, type TensorSpec } from "../architectures/tensor-spec.js";
import { encodeTensor } from "../checkpoint/encode-tensor.js";
import { llmcHeader, llmcLayout } from "../checkpoint/llmc.js";
import { quote } from "../checkpoint/quote.js";
import type { SafetensorsDtype } from "../checkpoint/safetensors.js";
import { planShards, safetensorsIndex } from "../checkpoint/safetensors-index.js";
import { layoutSafetensors } from "../checkpoint/safetensors-writer.js";
import type { StoredLayout } from "../checkpoint/stored-tensor.js";
import type { FloatDtype } from "../dtype/floats.js";
import { CheckpointError, UsageError } from "../errors.js";
import { writeAt, writeFileAtomically, writeFolderAtomically, writeNewFile } from "../util/atomic-write.js";
import { type StoredSampling, samplingToHuggingFace } from "./generation-config.js";
import {
  configToHuggingFace,
  configToLlmc,
  defaultEosTokenId,
  huggingFaceName,
  huggingFaceShape,
  llmcOffset,
} from "./names/state-dict.js";
import { headToHuggingFace } from "./names/state-dict-classifier.js";

/** A tensor of the table with its values in the model's layout, matrices [out, in]. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface ModelToSave {
  readonly config: ModelConfig;
  /** Every tensor of `tensorTable(config)` once, in any order; each is written before the next is asked for. */
  readonly tensors: Iterable<NamedTensor> | AsyncIterable<NamedTensor>;
  /** Of a classifier or regressor, whose `score.weight` is then among the tensors. Hugging Face only. */
  readonly head?: TaskHead | undefined;
}

export type SaveFormat = "huggingface" | "llm.c";
export type SaveDtype = "f32" | "f16" | "bf16";

export interface SaveOptions {
  /** `huggingface` (the default) writes a folder, `llm.c` a .bin file. */
  readonly format?: SaveFormat;
  /** f32 by default; llm.c has no f16. */
  readonly dtype?: SaveDtype;
  /** Hugging Face: start another file where one would hold more than this. One file by default. */
  readonly maxShardBytes?: number;
  /** Hugging Face: strings to keep in the weights' file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hugging Face: for config.json; `<|endoftext|>` by default. */
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
  /** Hugging Face: how the model should write, for generation_config.json. */
  readonly sampling?: StoredSampling;
}

/**
 * Writes a model atomically, never holding more of it in memory than the tensor at hand. Into a folder that exists,
 * files of the same name are replaced, older weights removed, and the rest is left alone.
 *
 * @throws {CheckpointError} a tensor is missing, unknown, of the wrong shape, or holds values that the type cannot; the
 *   file system refuses. What was there before is then still there.
 * @throws {ConfigError | UsageError} the format cannot hold this model, or this type.
 */
export async function saveCheckpoint(path: string, model: ModelToSave, options: SaveOptions = {}): Promise<void> {
  const { format = "huggingface", dtype = "f32" } = options;
  if (format === "llm.c") await saveLlmc(path, model, dtype);
  else await saveHuggingFace(path, model, dtype, options);
}

async function saveLlmc(path: string, { config, tensors, head }: ModelToSave, dtype: SaveDtype): Promise<void> {
  if (head) throw noHead(path, "llm.c", head);
  if (dtype === "f16") {
    throw new UsageError({ op: `writing ${path}: llm.c format`, expected: "dtype f32 or bf16", got: dtype });
  }
  const dims = configToLlmc(config, path);
  const layout = { dtype, ...llmcLayout(dims) };
  const places = tensorTable(config).map((spec): Place => {
    return { spec, file: path, offset: llmcOffset(spec, layout), storedAs: "out_in" };
  });
  await writeFileAtomically(path, async (file) => {
    // The padding rows of wte stay unwritten, and so zero.
    await file.write(llmcHeader(dims, dtype), 0);
    await writeTensors(path, places, tensors, dtype, (_, bytes, position) => file.write(bytes, position));
  });
}

/** For formats that hold language models only. */
export function noHead(path: string, format: string, { kind }: TaskHead): UsageError {
  const expected = "a language model";
  return new UsageError({
    op: `writing ${path}: ${format} format`,
    expected,
    got: `a model for ${kind}`,
    hint: "Write a Hugging Face folder",
  });
}

const SAFETENSORS_OF_FLOAT: Readonly<Record<SaveDtype, SafetensorsDtype>> = { f32: "F32", f16: "F16", bf16: "BF16" };

async function saveHuggingFace(
  path: string,
  { config, tensors, head }: ModelToSave,
  dtype: SaveDtype,
  options: SaveOptions,
): Promise<void> {
  // transformers refuses files that do not say they are PyTorch's.
  const { maxShardBytes, metadata } = { ...options, metadata: { ...options.metadata, format: "pt" } };
  const { shards, places, headers } = planHuggingFace({ config, head }, dtype, maxShardBytes, metadata);
  const eosTokenId = options.eosTokenId ?? defaultEosTokenId(config.vocabSize);
  const tokens = { bosTokenId: options.bosTokenId ?? eosTokenId, eosTokenId };
  const json: Record<string, unknown> = {
    "config.json": {
      ...configToHuggingFace(config, dtype, tokens),
      // Padding is on the right of texts, where nothing sees it; any token will do that no text has.
      ...(head && { ...CLASSIFIER, pad_token_id: eosTokenId, ...headToHuggingFace(head) }),
    },
    "generation_config.json": {
      bos_token_id: tokens.bosTokenId,
      eos_token_id: eosTokenId,
      ...(options.sampling && samplingToHuggingFace(options.sampling)),
    },
    ...(shards.length > 1 && { "model.safetensors.index.json": safetensorsIndex(shards) }),
  };
  const fill = async (folder: string): Promise<void> => {
    await writeShards(folder, path, { places, headers, tensors, dtype });
    for (const [name, value] of Object.entries(json)) {
      await writeNewFile(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
    }
  };
  await writeFolderAtomically(path, fill, { existing: "merge" });
  await removeOtherWeights(path, new Set([...headers.keys(), ...Object.keys(json)]));
}

const CLASSIFIER = { architectures: ["GPT2ForSequenceClassification"] };

function planHuggingFace(
  { config, head }: Pick<ModelToSave, "config" | "head">,
  dtype: SaveDtype,
  maxShardBytes: number | undefined,
  metadata: Readonly<Record<string, string>>,
) {
  const model = [...tensorTable(config), ...(head ? [scoreSpec(config, head)] : [])];
  const table = new Map(model.map((spec) => [huggingFaceName(spec), spec]));
  const specs = [...table].map(([name, spec]) => {
    return { name, dtype: SAFETENSORS_OF_FLOAT[dtype], shape: huggingFaceShape(spec) };
  });
  const shards = planShards(specs, maxShardBytes);
  const headers = new Map<string, Uint8Array>();
  const places: Place[] = [];
  for (const { file, specs } of shards) {
    const { header, ranges } = layoutSafetensors(specs, metadata);
    headers.set(file, header);
    for (const [name, { offset }] of ranges) {
      const spec = table.get(name)!;
      places.push({ spec, file, offset, storedAs: spec.conv1d ? "in_out" : "out_in" });
    }
  }
  return { shards, headers, places };
}

interface ShardJob {
  readonly places: readonly Place[];
  readonly headers: ReadonlyMap<string, Uint8Array>;
  readonly tensors: ModelToSave["tensors"];
  readonly dtype: FloatDtype;
}

/** All shards are open together, because tensors may come in any order. */
async function writeShards(folder: string, path: string, { places, headers, tensors, dtype }: ShardJob): Promise<void> {
  const handles = new Map<string, FileHandle>();
  try {
    for (const [name, header] of headers) {
      const handle = await open(join(folder, name), "wx");
      handles.set(name, handle);
      await writeAt(handle, header, 0);
    }
    await writeTensors(path, places, tensors, dtype, (file, bytes, at) => writeAt(handles.get(file)!, bytes, at));
  } finally {
    for (const handle of handles.values()) await handle.close();
  }
}

/** Weights of an earlier save in as many files as there no longer are. */
async function removeOtherWeights(folder: string, written: ReadonlySet<string>): Promise<void> {
  const weights = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;
  for (const name of await readdir(folder)) {
    if (weights.test(name) && !written.has(name)) await rm(join(folder, name));
  }
}

/** Where a tensor goes. */
interface Place {
  readonly spec: TensorSpec;
  readonly file: string;
  /** In the file, in bytes. */
  readonly offset: number;
  readonly storedAs: StoredLayout;
}

async function writeTensors(
  path: string,
  places: readonly Place[],
  tensors: ModelToSave["tensors"],
  dtype: FloatDtype,
  write: (file: string, bytes: Uint8Array, position: number) => Promise<void>,
): Promise<void> {
  const left = new Map(places.map((place) => [place.spec.name, place]));
  for await (const tensor of tensors) {
    const place = left.get(tensor.name);
    checkTensor(path, tensor, place?.spec);
    left.delete(tensor.name);
    const { spec, file, offset, storedAs } = place!;
    let position = offset;
    for (const bytes of encodeTensor({ ...spec, data: tensor.data, dtype, storedAs, file: path })) {
      await write(file, bytes, position);
      position += bytes.length;
    }
  }
  const [name] = left.keys();
  if (name !== undefined) {
    throw new CheckpointError({ op: `writing ${path}: tensor ${name}`, expected: "its values", got: "none" });
  }
}

function checkTensor(path: string, { name, shape, data }: NamedTensor, spec: TensorSpec | undefined): void {
  const op = `writing ${path}: tensor ${quote(name)}`;
  if (spec === undefined) {
    throw new CheckpointError({ op, expected: "each tensor of the model once", got: "an unknown or repeated one" });
  }
  const same = shape.length === spec.shape.length && shape.every((d, i) => d === spec.shape[i]);
  if (!same || data.length !== numel(spec.shape)) {
    const got = `[${shape.join(", ")}] with ${data.length} values`;
    throw new CheckpointError({ op, expected: `shape [${spec.shape.join(", ")}]`, got });
  }
}
