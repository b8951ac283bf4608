import { decodeFloats, FLOAT_BYTES, type FloatDtype, firstNonFinite } from "../dtype/floats.js";
import { CheckpointError, ShapeError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";
import { transpose } from "./transpose.js";

/** Whether a file holds a matrix as the model does, or transposed (Hugging Face's Conv1D). Vectors are `out_in`. */
export type StoredLayout = "out_in" | "in_out";

/** A tensor of a checkpoint, still in its file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: FloatDtype;
  /** The model's shape, matrices [out, in], however the file holds them. */
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  /** The file it is in, for messages. */
  readonly file: string;
  readonly byteLength: number;
  /** The file's bytes: a view where the file is mapped or in memory, else read anew on every access. */
  readonly data: Uint8Array;
  /**
   * Converts to float32 in the model's layout.
   *
   * @param dst as many values as `shape` has.
   * @throws {CheckpointError} a value is NaN or infinite, or does not fit a float32; the file cannot be read.
   */
  readInto(dst: Float32Array): void;
  /**
   * The values where they lie, if the file is mapped (or in memory) and holds aligned float32 in the model's layout;
   * undefined if they must be read. Not to be written to.
   *
   * @throws {CheckpointError} a value is NaN or infinite.
   */
  inPlace(): Float32Array | undefined;
}

export interface StoredTensorInit {
  readonly name: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  readonly source: ByteSource;
  /** Position in the file of the first byte. */
  readonly offset: number;
}

/** Values converted at a time: 1 MiB of float32, which stays in the second-level cache. */
const CHUNK = 2 ** 18;

export function storedTensor(init: StoredTensorInit): StoredTensor {
  return new FileTensor(init);
}

class FileTensor implements StoredTensor {
  readonly name: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  readonly byteLength: number;
  readonly #source: ByteSource;
  readonly #offset: number;
  readonly #count: number;

  constructor({ name, dtype, shape, storedAs, source, offset }: StoredTensorInit) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.storedAs = storedAs;
    this.#source = source;
    this.#offset = offset;
    this.#count = shape.reduce((n, d) => n * d, 1);
    this.byteLength = this.#count * FLOAT_BYTES[dtype];
  }

  get file(): string {
    return this.#source.name;
  }

  get data(): Uint8Array {
    return this.#source.bytes(this.#offset, this.byteLength);
  }

  readInto(dst: Float32Array): void {
    if (dst.length !== this.#count) {
      const op = `reading ${this.file}: tensor ${this.name} into an array`;
      throw new ShapeError({ op, expected: `${this.#count} values for [${this.shape}]`, got: `${dst.length}` });
    }
    if (this.storedAs === "in_out") this.#readTransposed(dst);
    else this.#readStraight(dst);
  }

  inPlace(): Float32Array | undefined {
    if (this.dtype !== "f32" || this.storedAs !== "out_in" || !this.#source.inMemory) return undefined;
    const { buffer, byteOffset } = this.data;
    if (byteOffset % 4 !== 0) return undefined;
    const values = new Float32Array(buffer, byteOffset, this.#count);
    this.#checkFinite(values, 0);
    return values;
  }

  #readStraight(dst: Float32Array): void {
    for (let start = 0; start < this.#count; start += CHUNK) {
      const values = dst.subarray(start, Math.min(start + CHUNK, this.#count));
      this.#decode(start, values);
    }
  }

  /** The file has [in, out]: a panel of its rows at a time is converted, then transposed into columns of `dst`. */
  #readTransposed(dst: Float32Array): void {
    const [out = 0, width = 0] = this.shape;
    const panelRows = Math.min(width, Math.max(1, Math.floor(CHUNK / out)));
    const panel = new Float32Array(panelRows * out);
    for (let row = 0; row < width; row += panelRows) {
      const rows = Math.min(panelRows, width - row);
      this.#decode(row * out, panel.subarray(0, rows * out));
      const source = { data: panel, offset: 0, stride: out };
      transpose(source, rows, out, { data: dst, offset: row, stride: width });
    }
  }

  /** Values from `start` on, in the file's order. */
  #decode(start: number, values: Float32Array): void {
    const width = FLOAT_BYTES[this.dtype];
    decodeFloats(this.dtype, this.#source.bytes(this.#offset + start * width, values.length * width), values);
    this.#checkFinite(values, start);
  }

  #checkFinite(values: Float32Array, start: number): void {
    const i = firstNonFinite(values);
    if (i === -1) return;
    const flat = start + i;
    const stored = this.storedAs === "in_out" ? [...this.shape].reverse() : this.shape;
    const columns = stored.at(-1)!;
    const index = stored.length === 2 ? [Math.floor(flat / columns), flat % columns] : [flat];
    throw new CheckpointError({
      op: `reading ${this.file}: tensor ${this.name}, index [${index.join(", ")}] of [${stored.join(", ")}]`,
      expected: "finite values",
      got: String(values[i]),
      hint: "The training run that wrote it may have diverged, or the file is damaged",
    });
  }
}
