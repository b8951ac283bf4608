import { FLOAT_BYTES, type FloatDtype } from "../dtype/floats.js";
import { CheckpointError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";

/**
 * llm.c's model file (github.com/karpathy/llm.c, train_gpt2.py `write_model`): a header of 256 int32, then 16 tensors of
 * one dtype, each for all layers, matrices [out, in], the vocabulary padded with zero rows.
 */

export const LLMC_HEADER_BYTES = 1024;
export const LLMC_MODEL_MAGIC = 20240326;
/** llm.c pads the vocabulary to a multiple of this when it exports a model. */
const VOCABULARY_MULTIPLE = 128;

const DTYPE_OF_VERSION: Readonly<Record<number, LlmcDtype>> = { 3: "f32", 5: "bf16" };
const VERSION_OF_DTYPE = { f32: 3, bf16: 5 } as const;
export type LlmcDtype = keyof typeof VERSION_OF_DTYPE;

/** The header's numbers, in order. */
export interface LlmcDims {
  readonly maxT: number;
  readonly V: number;
  readonly L: number;
  readonly NH: number;
  readonly C: number;
  /** Rows of wte in the file: V and the padding. */
  readonly paddedV: number;
}

/** llm.c's names of its tensors. */
export type LlmcName =
  | "wte"
  | "wpe"
  | "ln1w"
  | "ln1b"
  | "qkvw"
  | "qkvb"
  | "attprojw"
  | "attprojb"
  | "ln2w"
  | "ln2b"
  | "fcw"
  | "fcb"
  | "fcprojw"
  | "fcprojb"
  | "lnfw"
  | "lnfb";

export interface LlmcTensor {
  readonly name: LlmcName;
  /** Shape of one layer's part, where the tensor has layers. */
  readonly shape: readonly number[];
  /** Number of parts of that shape: L, or 1. */
  readonly layers: number;
  /** Position of the first value, in values from the end of the header. */
  readonly offset: number;
}

export function paddedVocabulary(vocabSize: number): number {
  return Math.ceil(vocabSize / VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE;
}

/** The tensors in file order with their positions, and the total number of values. */
export function llmcLayout(dims: LlmcDims): { tensors: ReadonlyMap<LlmcName, LlmcTensor>; count: number } {
  const { maxT, L, C, paddedV } = dims;
  const order: [name: LlmcName, layers: number, shape: number[]][] = [
    ["wte", 1, [paddedV, C]],
    ["wpe", 1, [maxT, C]],
    ["ln1w", L, [C]],
    ["ln1b", L, [C]],
    ["qkvw", L, [3 * C, C]],
    ["qkvb", L, [3 * C]],
    ["attprojw", L, [C, C]],
    ["attprojb", L, [C]],
    ["ln2w", L, [C]],
    ["ln2b", L, [C]],
    ["fcw", L, [4 * C, C]],
    ["fcb", L, [4 * C]],
    ["fcprojw", L, [C, 4 * C]],
    ["fcprojb", L, [C]],
    ["lnfw", 1, [C]],
    ["lnfb", 1, [C]],
  ];
  const tensors = new Map<LlmcName, LlmcTensor>();
  let count = 0;
  for (const [name, layers, shape] of order) {
    tensors.set(name, { name, shape, layers, offset: count });
    count += layers * shape.reduce((n, d) => n * d, 1);
  }
  return { tensors, count };
}

export interface LlmcModel {
  readonly source: ByteSource;
  readonly dtype: LlmcDtype;
  readonly dims: LlmcDims;
  readonly tensors: ReadonlyMap<LlmcName, LlmcTensor>;
}

/**
 * Reads and checks the header and the file's size; no tensor data is read.
 *
 * @throws {CheckpointError} another magic number or version, impossible sizes, or a file that is too short or
 *   too long for them.
 */
export function readLlmcModel(source: ByteSource): LlmcModel {
  const op = `reading ${source.name}: llm.c header`;
  if (source.size < LLMC_HEADER_BYTES) {
    throw new CheckpointError({ op, expected: `${LLMC_HEADER_BYTES} bytes`, got: `a file of ${source.size} bytes` });
  }
  const bytes = source.bytes(0, LLMC_HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, LLMC_HEADER_BYTES);
  const field = (i: number): number => view.getInt32(4 * i, true);
  if (field(0) !== LLMC_MODEL_MAGIC) {
    throw new CheckpointError({ op, expected: `the magic number ${LLMC_MODEL_MAGIC}`, got: `${field(0)}` });
  }
  const dtype = DTYPE_OF_VERSION[field(1)];
  if (dtype === undefined) {
    throw new CheckpointError({
      op,
      expected: "version 3 (float32) or 5 (bfloat16)",
      got: `${field(1)}`,
      hint: "Export the model with llm.c's current train_gpt2.py",
    });
  }
  const dims = { maxT: field(2), V: field(3), L: field(4), NH: field(5), C: field(6), paddedV: field(7) };
  checkDims(dims, op);
  const { tensors, count } = llmcLayout(dims);
  checkSize(source, dims, count, dtype);
  return { source, dtype, dims, tensors };
}

function checkDims(dims: LlmcDims, op: string): void {
  for (const [name, value] of Object.entries(dims)) {
    if (value < 1) throw new CheckpointError({ op: `${op}: ${name}`, expected: "a positive size", got: `${value}` });
  }
  if (dims.paddedV < dims.V) {
    const expected = `a padded vocabulary of at least V = ${dims.V}`;
    throw new CheckpointError({ op, expected, got: `${dims.paddedV}` });
  }
}

function checkSize(source: ByteSource, dims: LlmcDims, count: number, dtype: FloatDtype): void {
  const expected = LLMC_HEADER_BYTES + count * FLOAT_BYTES[dtype];
  if (source.size === expected) return;
  const { maxT, V, L, NH, C, paddedV } = dims;
  throw new CheckpointError({
    op: `reading ${source.name}`,
    expected: `${expected} bytes for V = ${V} (padded ${paddedV}), T = ${maxT}, L = ${L}, NH = ${NH}, C = ${C} in ${dtype}`,
    got: `${source.size}`,
    hint: source.size < expected ? "The file is truncated" : "There are bytes after the last tensor",
  });
}

/** The 256 int32 of a model file's header. */
export function llmcHeader(dims: LlmcDims, dtype: LlmcDtype): Uint8Array {
  const header = new Uint8Array(LLMC_HEADER_BYTES);
  const view = new DataView(header.buffer);
  const { maxT, V, L, NH, C, paddedV } = dims;
  const fields = [LLMC_MODEL_MAGIC, VERSION_OF_DTYPE[dtype], maxT, V, L, NH, C, paddedV];
  for (const [i, value] of fields.entries()) view.setInt32(4 * i, value, true);
  return header;
}
