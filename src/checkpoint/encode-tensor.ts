import { encodeValues, type WeightType } from "../dtype/dtype.js";
import { firstNonFinite } from "../dtype/floats.js";
import { firstNonFiniteStored, STORED_DTYPES, storedBytes } from "../dtype/stored.js";
import { CheckpointError } from "../errors.js";
import type { StoredLayout, StoredTensor } from "./stored-tensor.js";
import { transpose } from "./transpose.js";

/** A tensor with its values in memory, matrices [out, in]. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A tensor to be written: in memory, or still in another file, from which it is read in pieces. */
export type TensorSource = NamedTensor | StoredTensor;

const isStored = (tensor: TensorSource): tensor is StoredTensor => "readRows" in tensor;

export interface EncodeJob {
  readonly tensor: TensorSource;
  /** Storage dtype in the file; matrices in blocks are `out_in`. */
  readonly dtype: WeightType;
  readonly storedAs: StoredLayout;
  /** The target, for errors. */
  readonly file: string;
}

/** Number of values encoded at a time: 1 MiB of float32. */
const CHUNK = 2 ** 18;

/**
 * The bytes of a tensor in a file, in order, piece by piece; a piece is valid until the next is taken. Blocks
 * that already have the requested type are copied, because re-encoding them need not give the same bytes.
 *
 * @throws {CheckpointError} a value is NaN or infinite, or becomes so in `dtype`: such a file could not be read back.
 */
export function encodeTensor(job: EncodeJob): Iterable<Uint8Array> {
  const { tensor, dtype, storedAs } = job;
  if (isStored(tensor) && tensor.dtype === dtype && STORED_DTYPES[dtype].block > 1 && tensor.storedAs === storedAs) {
    return copiedPieces(tensor);
  }
  return encodedPieces(job);
}

function* copiedPieces(tensor: StoredTensor): Generator<Uint8Array, void, void> {
  tensor.checkFinite();
  const { data } = tensor;
  for (let start = 0; start < data.length; start += 4 * CHUNK) yield data.subarray(start, start + 4 * CHUNK);
}

function* encodedPieces(job: EncodeJob): Generator<Uint8Array, void, void> {
  let bytes = new Uint8Array(0);
  for (const values of job.storedAs === "in_out" ? transposedValues(job.tensor) : valuesOf(job.tensor)) {
    const length = storedBytes(job.dtype, values.length);
    if (bytes.length < length) bytes = new Uint8Array(length);
    const piece = bytes.subarray(0, length);
    encodeValues(job.dtype, values, piece);
    checkRepresentable(job, values, piece);
    yield piece;
  }
}

/** The values by rows, whole rows at a time. */
function* valuesOf(tensor: TensorSource): Generator<Float32Array, void, void> {
  const width = tensor.shape.at(-1)!;
  const count = tensor.shape.reduce((n, d) => n * d, 1);
  const step = Math.max(1, Math.floor(CHUNK / width)) * width;
  // The rows of a transposed matrix are scattered over its file, so it is read as a whole.
  const whole = isStored(tensor) && tensor.storedAs === "out_in" ? undefined : wholeOf(tensor);
  const part = whole ?? new Float32Array(Math.min(step, count));
  for (let start = 0; start < count; start += step) {
    const n = Math.min(step, count - start);
    if (whole !== undefined) yield whole.subarray(start, start + n);
    else {
      const values = part.subarray(0, n);
      (tensor as StoredTensor).readRows(start / width, values);
      yield values;
    }
  }
}

/** The matrix, whose columns are the rows of the file's [in, out]. */
function* transposedValues(tensor: TensorSource): Generator<Float32Array, void, void> {
  const data = wholeOf(tensor);
  const [out = 0, width = 0] = tensor.shape;
  const rows = Math.min(width, Math.max(1, Math.floor(CHUNK / out)));
  const panel = new Float32Array(rows * out);
  for (let row = 0; row < width; row += rows) {
    const n = Math.min(rows, width - row);
    transpose({ data, offset: row, stride: width }, out, n, { data: panel, offset: 0, stride: out });
    yield panel.subarray(0, n * out);
  }
}

function wholeOf(tensor: TensorSource): Float32Array {
  if (!isStored(tensor)) return tensor.data;
  const values = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1));
  tensor.readInto(values);
  return values;
}

function checkRepresentable({ tensor, dtype, file }: EncodeJob, values: Float32Array, piece: Uint8Array): void {
  const op = `writing ${file}: tensor ${tensor.name}`;
  const bad = firstNonFinite(values);
  if (bad !== -1) {
    const hint = "The training run may have diverged; the existing file is unchanged";
    throw new CheckpointError({ op, expected: "finite values", got: String(values[bad]), hint });
  }
  if (dtype === "f32") return;
  const tooLarge = firstNonFiniteStored(dtype, piece);
  if (tooLarge === -1) return;
  const expected = `values that ${dtype} can hold`;
  throw new CheckpointError({ op, expected, got: String(values[tooLarge]), hint: "Save as f32 or bf16" });
}
