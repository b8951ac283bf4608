import type { ModelConfig } from "../../../architectures/config.js";
import { tensorTable } from "../../../architectures/registry.js";
import { heldAs } from "../../../architectures/weight-types.js";
import { layoutGguf, type MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import { FILE_TYPES, QUANTIZATION_VERSION } from "../../../checkpoint/gguf/types.js";
import { quote } from "../../../checkpoint/quote.js";
import type { StoredTensor } from "../../../checkpoint/stored-tensor.js";
import { encodeValues, type WeightType } from "../../../dtype/dtype.js";
import { firstNonFinite } from "../../../dtype/floats.js";
import { firstNonFiniteStored, STORED_DTYPES, storedBytes } from "../../../dtype/stored.js";
import { CheckpointError } from "../../../errors.js";
import type { Tokenizer } from "../../../tokenizer/tokenizer.js";
import { writeFileAtomically } from "../../../util/atomic-write.js";
import { configToGguf, GGUF_ARCHITECTURE, ggufName } from "../../names/state-dict-gguf.js";
import type { NamedTensor } from "../../save.js";
import { tokenizerToGguf } from "./tokenizer.js";

export interface ModelForGguf {
  readonly config: ModelConfig;
  /** Every tensor of `tensorTable(config)` once, in any order, in memory or still in another file. */
  readonly tensors: Iterable<NamedTensor | StoredTensor> | AsyncIterable<NamedTensor | StoredTensor>;
  /** Goes into the file; without one it has ids only. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Where there is no tokenizer, or its `<|endoftext|>` is not meant. */
  readonly bosTokenId?: number | undefined;
  readonly eosTokenId?: number | undefined;
}

export interface SaveGgufOptions {
  /** Of the matrices, see {@link ggufTypes}; default f32. */
  readonly dtype?: WeightType | undefined;
  /** What the file says about the model, under `general.`: name, author, license, … */
  readonly general?: Readonly<Record<string, string>> | undefined;
  /** Told how much of the file is written, in bytes. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** By tensor name, what a file in `dtype` holds each in: see {@link heldAs}. */
export function ggufTypes(config: ModelConfig, dtype: WeightType): Map<string, WeightType> {
  return new Map(tensorTable(config).map((spec) => [spec.name, heldAs(spec, dtype)]));
}

/**
 * Writes a model as a GGUF file that llama.cpp runs, atomically; the same model gives the same bytes. Tensors are read,
 * converted and written in pieces of about 1 MiB; those that a Hugging Face file holds transposed, one at a time. Blocks
 * of the wanted type that are there already are copied as they are.
 *
 * @returns bytes of the file.
 * @throws {CheckpointError} a tensor is missing, unknown, of the wrong shape, or holds values that the type cannot; the
 *   file system refuses. What was there before is then still there.
 * @throws {ConfigError} a variant that llama.cpp's GPT-2 does not compute.
 */
export async function saveGguf(path: string, model: ModelForGguf, options: SaveGgufOptions = {}): Promise<number> {
  const { dtype = "f32", onProgress, signal } = options;
  const table = new Map(tensorTable(model.config).map((spec) => [spec.name, spec]));
  const types = ggufTypes(model.config, dtype);
  const specs = [...table.values()].map(({ name, shape }) => ({
    name: ggufName(name),
    dtype: types.get(name)!,
    shape,
  }));
  const { header, size, ranges } = layoutGguf(metadataOf(path, model, dtype, options), specs);
  await writeFileAtomically(path, async (file) => {
    await file.write(header, 0);
    const left = new Map(table);
    let written = header.length;
    let end = 0;
    for await (const tensor of model.tensors) {
      checkTensor(path, tensor, left.get(tensor.name)?.shape);
      left.delete(tensor.name);
      const { offset, byteLength } = ranges.get(ggufName(tensor.name))!;
      end = Math.max(end, offset + byteLength);
      let position = offset;
      for (const piece of piecesOf({ path, tensor, dtype: types.get(tensor.name)! })) {
        signal?.throwIfAborted();
        await file.write(piece, position);
        position += piece.length;
        written += piece.length;
        onProgress?.(written, size);
      }
    }
    const [missing] = left.keys();
    if (missing !== undefined) {
      throw new CheckpointError({ op: `writing ${path}: tensor ${missing}`, expected: "its values", got: "none" });
    }
    if (end < size) await file.write(new Uint8Array(size - end), end);
  });
  return size;
}

function metadataOf(
  path: string,
  { config, tokenizer, bosTokenId, eosTokenId }: ModelForGguf,
  dtype: WeightType,
  { general = {} }: SaveGgufOptions,
): MetadataEntry[] {
  if (tokenizer !== undefined && tokenizer.vocabSize > config.vocabSize) {
    const expected = `a tokenizer of at most ${config.vocabSize} tokens, the model's vocabulary`;
    throw new CheckpointError({ op: `writing ${path}`, expected, got: `${tokenizer.vocabSize}` });
  }
  return [
    ["general.architecture", "string", GGUF_ARCHITECTURE],
    ["general.type", "string", "model"],
    ...Object.entries(general).map(([key, text]): MetadataEntry => [`general.${key}`, "string", text]),
    ["general.file_type", "u32", FILE_TYPES[dtype]],
    ["general.quantization_version", "u32", QUANTIZATION_VERSION],
    ...configToGguf(config, path),
    ...tokenizerToGguf({
      vocabulary: tokenizer?.vocabulary,
      vocabSize: config.vocabSize,
      bosTokenId: bosTokenId ?? tokenizer?.startOfText,
      eosTokenId: eosTokenId ?? tokenizer?.endOfText,
    }),
  ];
}

function checkTensor(
  path: string,
  { name, shape }: { name: string; shape: readonly number[] },
  expected?: readonly number[],
): void {
  const op = `writing ${path}: tensor ${quote(name)}`;
  if (expected === undefined) {
    throw new CheckpointError({ op, expected: "each tensor of the model once", got: "an unknown or repeated one" });
  }
  if (shape.length === expected.length && shape.every((d, i) => d === expected[i])) return;
  throw new CheckpointError({ op, expected: `shape [${expected.join(", ")}]`, got: `[${shape.join(", ")}]` });
}

interface TensorJob {
  readonly path: string;
  readonly tensor: NamedTensor | StoredTensor;
  readonly dtype: WeightType;
}

/** Values converted at a time: 1 MiB of float32. */
const CHUNK = 2 ** 18;

/** A tensor's bytes in order, whole rows at a time; a piece is valid until the next is asked for. */
function piecesOf(job: TensorJob): Iterable<Uint8Array> {
  const { tensor, dtype } = job;
  const copied = "readRows" in tensor && tensor.storedAs === "out_in" && tensor.dtype === dtype;
  return copied && STORED_DTYPES[dtype].block > 1 ? copiedPieces(tensor) : encodedPieces(job);
}

/** Blocks are not encoded anew, because that need not give the same. */
function* copiedPieces(tensor: StoredTensor): Generator<Uint8Array, void, void> {
  tensor.checkFinite();
  const { data } = tensor;
  for (let start = 0; start < data.length; start += 4 * CHUNK) yield data.subarray(start, start + 4 * CHUNK);
}

function* encodedPieces(job: TensorJob): Generator<Uint8Array, void, void> {
  let bytes = new Uint8Array(0);
  for (const values of valuesOf(job.tensor)) {
    const length = storedBytes(job.dtype, values.length);
    if (bytes.length < length) bytes = new Uint8Array(length);
    const piece = bytes.subarray(0, length);
    encodeValues(job.dtype, values, piece);
    checkRepresentable(job, values, piece);
    yield piece;
  }
}

/** Float32 values in the model's layout, whole rows at a time. */
function* valuesOf(tensor: NamedTensor | StoredTensor): Generator<Float32Array, void, void> {
  const width = tensor.shape.at(-1)!;
  const count = tensor.shape.reduce((n, d) => n * d, 1);
  const step = Math.max(1, Math.floor(CHUNK / width)) * width;
  const stored = "readRows" in tensor ? tensor : undefined;
  // A transposed one has parts of every row all over the file: it is turned round as a whole.
  const all = stored === undefined ? (tensor.data as Float32Array) : wholeIfTransposed(stored, count);
  const part = all ?? new Float32Array(Math.min(step, count));
  for (let start = 0; start < count; start += step) {
    const n = Math.min(step, count - start);
    if (all !== undefined) yield all.subarray(start, start + n);
    else {
      const values = part.subarray(0, n);
      stored!.readRows(start / width, values);
      yield values;
    }
  }
}

function wholeIfTransposed(tensor: StoredTensor, count: number): Float32Array | undefined {
  if (tensor.storedAs === "out_in") return undefined;
  const values = new Float32Array(count);
  tensor.readInto(values);
  return values;
}

/** @throws {CheckpointError} a value is NaN or infinite, or becomes so: the file could not be read back. */
function checkRepresentable({ path, tensor, dtype }: TensorJob, values: Float32Array, piece: Uint8Array): void {
  const op = `writing ${path}: tensor ${tensor.name}`;
  const bad = firstNonFinite(values);
  if (bad !== -1) throw new CheckpointError({ op, expected: "finite values", got: String(values[bad]) });
  const tooLarge = firstNonFiniteStored(dtype, piece);
  if (tooLarge === -1) return;
  const expected = `values that ${dtype} can hold`;
  throw new CheckpointError({ op, expected, got: String(values[tooLarge]), hint: "Write it as f32 or bf16" });
}
