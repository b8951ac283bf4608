import { decodeFloats, encodeFloats, FLOAT_BYTES, type FloatDtype, firstNonFinite } from "../dtype/floats.js";
import { CheckpointError } from "../errors.js";
import type { StoredLayout } from "./stored-tensor.js";
import { transpose } from "./transpose.js";

export interface EncodeJob {
  readonly name: string;
  /** Matrices [out, in]. */
  readonly shape: readonly number[];
  readonly data: Float32Array;
  readonly dtype: FloatDtype;
  readonly storedAs: StoredLayout;
  /** What is being written, for errors. */
  readonly file: string;
}

/** Values encoded at a time: 1 MiB of float32. */
const CHUNK = 2 ** 18;

/**
 * A tensor's bytes as a file holds them, in order, a piece at a time; a piece is valid until the next is asked for.
 *
 * @throws {CheckpointError} a value is NaN or infinite, or becomes so in `dtype`: such a file could not be read back.
 */
export function* encodeTensor(job: EncodeJob): Generator<Uint8Array, void, void> {
  const pieces = job.storedAs === "in_out" ? transposedPieces(job) : straightPieces(job);
  const longest = Math.min(job.data.length, Math.max(CHUNK, job.shape[0]!));
  const bytes = new Uint8Array(longest * FLOAT_BYTES[job.dtype]);
  for (const values of pieces) {
    const piece = bytes.subarray(0, values.length * FLOAT_BYTES[job.dtype]);
    encodeFloats(job.dtype, values, piece);
    checkRepresentable(job, values, piece);
    yield piece;
  }
}

function* straightPieces({ data }: EncodeJob): Generator<Float32Array, void, void> {
  for (let start = 0; start < data.length; start += CHUNK) yield data.subarray(start, start + CHUNK);
}

/** Rows of the file's [in, out] are columns of `data`. */
function* transposedPieces({ data, shape }: EncodeJob): Generator<Float32Array, void, void> {
  const [out = 0, width = 0] = shape;
  const rows = Math.min(width, Math.max(1, Math.floor(CHUNK / out)));
  const panel = new Float32Array(rows * out);
  for (let row = 0; row < width; row += rows) {
    const n = Math.min(rows, width - row);
    transpose({ data, offset: row, stride: width }, out, n, { data: panel, offset: 0, stride: out });
    yield panel.subarray(0, n * out);
  }
}

const decoded = new Float32Array(CHUNK);

function checkRepresentable({ name, dtype, file }: EncodeJob, values: Float32Array, piece: Uint8Array): void {
  const op = `writing ${file}: tensor ${name}`;
  const bad = firstNonFinite(values);
  if (bad !== -1) {
    const hint = "The training run may have diverged; the file is left as it was";
    throw new CheckpointError({ op, expected: "finite values", got: String(values[bad]), hint });
  }
  if (dtype === "f32" || dtype === "f64") return;
  const back = values.length <= CHUNK ? decoded.subarray(0, values.length) : new Float32Array(values.length);
  decodeFloats(dtype, piece, back);
  const tooLarge = firstNonFinite(back);
  if (tooLarge !== -1) {
    const hint = "Save as f32 or bf16";
    throw new CheckpointError({ op, expected: `values that ${dtype} can hold`, got: String(values[tooLarge]), hint });
  }
}
