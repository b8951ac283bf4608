import { firstNonFinite } from "../dtype/floats.js";
import { decodeStored, firstNonFiniteStored, STORED_DTYPES, type StoredDtype, storedBytes } from "../dtype/stored.js";
import { CheckpointError, ShapeError } from "../errors.js";
import { type ByteSource, checkRange, type MappedRange } from "./byte-source.js";
import { transpose } from "./transpose.js";

/** The layout of a matrix in a file: the model's, or transposed (Hugging Face's Conv1D). Vectors are `out_in`. */
export type StoredLayout = "out_in" | "in_out";

/** A tensor of a checkpoint whose data is still in the file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** The model's shape, matrices [out, in], whatever the file's layout. */
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  /** The file's name, for messages. */
  readonly file: string;
  readonly byteLength: number;
  /** The file's bytes: a view if the file is mapped or in memory, else read from disk on every access. */
  readonly data: Uint8Array;
  /** Whether `data` is such a view. Where `storedAs` is `out_in` too, a backend that has `dtype` can use it in place. */
  readonly inMemory: boolean;
  /** The position of `data` in a mapped file, if it is mapped; no view is made. */
  readonly mapped?: MappedRange | undefined;
  /**
   * Checks the values, for callers that use `data` itself; the other methods check while reading.
   *
   * @throws {CheckpointError} a value is NaN or infinite.
   */
  checkFinite(): void;
  /**
   * Converts to float32 in the model's layout.
   *
   * @param dst an array of exactly the tensor's number of values.
   * @throws {CheckpointError} a value is NaN or infinite, or does not fit a float32; the file cannot be read.
   */
  readInto(dst: Float32Array): void;
  /**
   * Does the same for the number of rows that `dst` holds. The rows of a transposed matrix are scattered over the file, so it is
   * better read as a whole.
   *
   * @param first number of the first row.
   */
  readRows(first: number, dst: Float32Array): void;
}

export interface StoredTensorInit {
  readonly name: string;
  /** Rows of `shape` consist of whole blocks; matrices in blocks are `out_in`. */
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  readonly source: ByteSource;
  /** Position in the file of the first byte. */
  readonly offset: number;
  /** Called once, before any of the data is used: verifies its checksum, and throws if it is damaged. */
  readonly check?: (() => void) | undefined;
}

/** Number of values converted at a time: 1 MiB of float32, which stays in the second-level cache. */
const CHUNK = 2 ** 18;

export function storedTensor(init: StoredTensorInit): StoredTensor {
  return new FileTensor(init);
}

/** A tensor missing from a file because it is all zero, such as the biases of a model without them. */
export function zeroTensor({ name, shape }: Pick<StoredTensor, "name" | "shape">, file: string): StoredTensor {
  const count = shape.reduce((n, d) => n * d, 1);
  return {
    name,
    dtype: "f32",
    shape,
    storedAs: "out_in",
    file,
    byteLength: 0,
    data: new Uint8Array(0),
    inMemory: false,
    checkFinite: () => undefined,
    readInto: (dst) => {
      checkLength(dst, { name, shape, file }, count);
      dst.fill(0);
    },
    readRows: (_, dst) => void dst.fill(0),
  };
}

function checkLength(dst: Float32Array, tensor: Pick<StoredTensor, "name" | "shape" | "file">, count: number): void {
  if (dst.length === count) return;
  const op = `reading ${tensor.file}: tensor ${tensor.name} into an array`;
  throw new ShapeError({ op, expected: `${count} values for [${tensor.shape}]`, got: `${dst.length}` });
}

class FileTensor implements StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly storedAs: StoredLayout;
  readonly byteLength: number;
  readonly #source: ByteSource;
  readonly #offset: number;
  readonly #count: number;
  #check: (() => void) | undefined;

  constructor({ name, dtype, shape, storedAs, source, offset, check }: StoredTensorInit) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.storedAs = storedAs;
    this.#source = source;
    this.#offset = offset;
    this.#check = check;
    this.#count = shape.reduce((n, d) => n * d, 1);
    this.byteLength = storedBytes(dtype, this.#count);
    const { block } = STORED_DTYPES[dtype];
    const row = shape.at(-1) ?? 1;
    if (row % block === 0 && (block === 1 || storedAs === "out_in")) return;
    const expected = `rows of whole blocks of ${block} values, not transposed`;
    throw new ShapeError({ op: `tensor ${name} in ${dtype}`, expected, got: `[${shape}] stored ${storedAs}` });
  }

  get file(): string {
    return this.#source.name;
  }

  get data(): Uint8Array {
    return this.#read(this.#offset, this.byteLength);
  }

  get inMemory(): boolean {
    return this.#source.inMemory;
  }

  get mapped(): MappedRange | undefined {
    const { mapping } = this.#source;
    if (mapping === undefined) return undefined;
    checkRange(this.#source, this.#offset, this.byteLength);
    this.#verify();
    return { file: mapping, offset: this.#offset, length: this.byteLength };
  }

  checkFinite(): void {
    for (let start = 0; start < this.#count; start += CHUNK) {
      const i = firstNonFiniteStored(this.dtype, this.#bytes(start, Math.min(CHUNK, this.#count - start)));
      if (i === -1) continue;
      // Decoding the block finds the value itself, for the message.
      const { block } = STORED_DTYPES[this.dtype];
      this.#decode(start + i - (i % block), new Float32Array(block));
    }
  }

  readInto(dst: Float32Array): void {
    checkLength(dst, this, this.#count);
    this.readRows(0, dst);
  }

  readRows(first: number, dst: Float32Array): void {
    if (this.storedAs === "in_out") this.#readTransposed(first, dst);
    else this.#readStraight(first * (this.shape.at(-1) ?? 1), dst);
  }

  #readStraight(from: number, dst: Float32Array): void {
    for (let start = 0; start < dst.length; start += CHUNK) {
      this.#decode(from + start, dst.subarray(start, start + CHUNK));
    }
  }

  /** Converts one panel of rows of the file's [in, out] at a time, then transposes it into columns of `dst`. */
  #readTransposed(first: number, dst: Float32Array): void {
    const [out = 0, width = 0] = this.shape;
    const panelRows = Math.min(width, Math.max(1, Math.floor(CHUNK / out)));
    const panel = new Float32Array(panelRows * out);
    for (let row = 0; row < width; row += panelRows) {
      const rows = Math.min(panelRows, width - row);
      this.#decode(row * out, panel.subarray(0, rows * out));
      const source = { data: panel, offset: first, stride: out };
      transpose(source, rows, dst.length / width, { data: dst, offset: row, stride: width });
    }
  }

  /** Decodes values from `start` on, in the file's order. */
  #decode(start: number, values: Float32Array): void {
    decodeStored(this.dtype, this.#bytes(start, values.length), values);
    this.#checkFinite(values, start);
  }

  /** The bytes of `count` values from `start` on, whole blocks. */
  #bytes(start: number, count: number): Uint8Array {
    const offset = this.#offset + storedBytes(this.dtype, start);
    return this.#read(offset, storedBytes(this.dtype, count));
  }

  #read(offset: number, length: number): Uint8Array {
    this.#verify();
    return this.#source.bytes(offset, length);
  }

  #verify(): void {
    this.#check?.();
    this.#check = undefined;
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
