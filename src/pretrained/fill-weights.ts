import { numel } from "../architectures/tensor-spec.js";
import { type Backend, type DeviceArray, hostFloats } from "../backend/backend.js";
import type { ConversionFailure, WeightConversion } from "../backend/weight-conversion.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { byteLength, encodeValues, isPacked, type WeightType } from "../dtype/dtype.js";
import { firstNonFiniteStored, isWeightType } from "../dtype/stored.js";
import { CheckpointError } from "../errors.js";
import { orAborted } from "../util/abort.js";
import { yieldToEventLoop } from "../util/event-loop.js";

/** A tensor and the array that it becomes. */
export interface Placed {
  readonly tensor: StoredTensor;
  readonly array: DeviceArray;
  /** Whether the array is the file's own memory: then its values are only checked. */
  readonly inPlace: boolean;
}

/** A backend's ways to take weights besides `write`. */
export type WeightAccess = Pick<Backend, "inPlace" | "convertWeights">;

type Convert = (conversions: readonly WeightConversion[]) => Promise<ConversionFailure | undefined>;

/** Values converted at a time. */
const PIECE = 2 ** 20;
/** The rows of a piece are a multiple of this, so that rows of a transposed matrix are whole cache lines of the file. */
const ROWS = 32;
/** Maximum number of threads that convert. The event loop's pool has one more, for other reads during the load. */
const AT_ONCE = 3;
/** Bytes to convert that justify another thread. */
const SHARE = 2 ** 26;
/** Maximum number of bytes converted in a call; aborts are checked between calls. */
const GO = 2 ** 26;
/** Cost of checking a byte, relative to converting one. */
const LOOK = 1 / 4;

/**
 * Fills each array with its tensor's values: on other threads if the backend converts, else on this one.
 *
 * @throws {CheckpointError} a value is NaN, infinite, or too large for the array's dtype.
 */
export async function fillWeights(
  placed: readonly Placed[],
  access: WeightAccess,
  signal?: AbortSignal,
): Promise<void> {
  const convert: Convert | undefined = access.convertWeights && ((jobs) => access.convertWeights!(jobs));
  const elsewhere = placed.filter(({ tensor }) => convert && tensor.inMemory && isWeightType(tensor.dtype));
  if (convert) await convertAll(elsewhere.flatMap(piecesOf), convert, signal);
  for (const { tensor, inPlace } of elsewhere) {
    const { mapped } = tensor;
    if (mapped && !inPlace) mapped.file.forget?.(mapped.offset, mapped.length);
  }
  const done = new Set(elsewhere);
  for (const entry of placed) {
    if (done.has(entry)) continue;
    await yieldToEventLoop();
    signal?.throwIfAborted();
    if (entry.inPlace) entry.tensor.checkFinite();
    else await fillHere(entry, signal);
  }
}

interface Piece {
  readonly entry: Placed;
  readonly conversion: WeightConversion;
  /** Cost, in converted bytes. */
  readonly work: number;
}

function piecesOf(entry: Placed): Piece[] {
  const { tensor, array, inPlace } = entry;
  const src = tensor.mapped ?? tensor.data;
  const srcType = tensor.dtype as WeightType;
  const cols = tensor.shape.at(-1)!;
  const rows = numel(tensor.shape) / cols;
  const stride = ROWS * Math.ceil(PIECE / cols / ROWS);
  const transposed = tensor.storedAs === "in_out";
  const matrix = { src, srcType, transposed, rows, cols, ...(!inPlace && { dst: array }) };
  return Array.from({ length: Math.ceil(rows / stride) }, (_, i) => {
    const from = i * stride;
    const to = Math.min(from + stride, rows);
    const work = byteLength(srcType, (to - from) * cols) * (inPlace ? LOOK : 1);
    return { entry, conversion: { ...matrix, from, to }, work };
  });
}

/** Makes few long calls rather than many short ones: each has to wait for this thread, which may have other work. */
async function convertAll(pieces: Piece[], convert: Convert, signal: AbortSignal | undefined): Promise<void> {
  const total = pieces.reduce((sum, { work }) => sum + work, 0);
  // No more threads than justify their start: this one makes the tokenizer meanwhile.
  const threads = Math.min(AT_ONCE, Math.ceil(total / SHARE));
  const most = Math.min(GO, total / threads);
  const left = pieces.reverse();
  const worker = async (): Promise<void> => {
    while (left.length > 0 && !signal?.aborted) {
      const go: Piece[] = [];
      for (let work = 0; work < most && left.length > 0; work += go.at(-1)!.work) go.push(left.pop()!);
      const failure = await convert(go.map(({ conversion }) => conversion));
      if (failure) throw conversionError(go[failure.index]!.entry, failure.reason);
    }
  };
  await orAborted(Promise.all(Array.from({ length: threads }, worker)), signal).finally(() => left.splice(0));
}

function conversionError({ tensor, array }: Placed, reason: ConversionFailure["reason"]): CheckpointError {
  if (reason === "too large") return tooLarge(tensor, array.dtype);
  // Check the values one by one to find the one to name.
  tensor.checkFinite();
  return new CheckpointError({
    op: `reading ${tensor.file}: tensor ${tensor.name}`,
    expected: "finite values",
    got: "NaN or infinity",
  });
}

function tooLarge({ file, name }: StoredTensor, dtype: string): CheckpointError {
  return new CheckpointError({
    op: `reading ${file}: tensor ${name} as ${dtype}`,
    expected: `values that ${dtype} can hold`,
    got: "a larger one",
    hint: "Load the model as f32 or bf16",
  });
}

/** Converts in JavaScript, through float32 unless the file has the array's dtype and layout. */
async function fillHere({ tensor, array }: Placed, signal: AbortSignal | undefined): Promise<void> {
  const floats = array.dtype === "f32" ? hostFloats(array) : undefined;
  if (floats) tensor.readInto(floats);
  else if (array.dtype === tensor.dtype && isPacked(array.dtype) && tensor.storedAs === "out_in") {
    tensor.checkFinite();
    array.write(tensor.data);
  } else await encodeHere(tensor, array, signal);
}

/** Takes a few rows of a matrix at a time, but all of a transposed one, whose rows are scattered over the file. */
async function encodeHere(tensor: StoredTensor, array: DeviceArray, signal: AbortSignal | undefined): Promise<void> {
  const { shape, storedAs } = tensor;
  const dtype = array.dtype as WeightType;
  const cols = shape.at(-1)!;
  const rows = numel(shape) / cols;
  const stride = Math.min(rows, storedAs === "in_out" ? rows : ROWS * Math.ceil(PIECE / cols / ROWS));
  const values = new Float32Array(stride * cols);
  const bytes = new Uint8Array(isPacked(dtype) ? byteLength(dtype, values.length) : 0);
  for (let row = 0; row < rows; row += stride) {
    const count = Math.min(stride, rows - row) * cols;
    const piece = values.subarray(0, count);
    tensor.readRows(row, piece);
    if (isPacked(dtype)) {
      const encoded = bytes.subarray(0, byteLength(dtype, count));
      encodeValues(dtype, piece, encoded);
      if (firstNonFiniteStored(dtype, encoded) !== -1) throw tooLarge(tensor, dtype);
      array.write(encoded, row * cols);
    } else array.write(piece, row * cols);
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
}
