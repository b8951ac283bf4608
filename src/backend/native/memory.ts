import { constants } from "node:buffer";
import type { MappedFile, MappedRange } from "../../checkpoint/byte-source.js";
import { byteLength, DTYPES, type DType, hostIndex, viewOf } from "../../dtype/dtype.js";
import { BackendError, OutOfMemoryError } from "../../errors.js";
import type { DeviceArray } from "../backend.js";
import { nativeLibrary } from "./library.js";

/** Memory is given back when nothing refers to it any more. */
const blocks = new FinalizationRegistry<() => void>((free) => free());

/** What a view's memory belongs to lives as long as the view. */
const owners = new WeakMap<ArrayBuffer, object>();

/** Memory of the C side. */
interface NativeMemory {
  readonly address: bigint;
  /** A part of it inside an ArrayBuffer. */
  window(offset: number, bytes: number): { readonly buffer: ArrayBuffer; readonly byteOffset: number };
}

/** Milliseconds after which the garbage collector is told of a block. */
const TELL_AFTER = 1000;

/** Zeroed memory outside the JavaScript heap, of any size, freed when nothing refers to it or to a view of it. */
export class NativeArena implements NativeMemory {
  readonly address: bigint;
  readonly bytes: number;
  #buffer: ArrayBuffer | undefined;

  /** @throws {OutOfMemoryError} */
  constructor(bytes: number) {
    const lib = nativeLibrary();
    const pointer = lib.alloc(bytes);
    if (!pointer) throw new OutOfMemoryError({ op: "allocating memory", expected: `${bytes} bytes`, got: "a refusal" });
    this.address = lib.address(pointer);
    this.bytes = bytes;
    blocks.register(this, () => lib.free(pointer, bytes));
    tellCollector(this);
  }

  window(offset: number, bytes: number): { buffer: ArrayBuffer; byteOffset: number } {
    if (this.#buffer) return { buffer: this.#buffer, byteOffset: offset };
    return { buffer: makeView(this, offset, bytes), byteOffset: 0 };
  }

  /** From now on all views are of one ArrayBuffer, which shows the garbage collector how much there is. */
  show(): void {
    if (this.bytes <= constants.MAX_LENGTH) this.#buffer ??= makeView(this, 0, this.bytes);
  }
}

function makeView(memory: NativeMemory, offset: number, bytes: number): ArrayBuffer {
  checkArrayLength(bytes);
  const buffer = nativeLibrary().view(memory.address + BigInt(offset), bytes);
  owners.set(buffer, memory);
  return buffer;
}

/** @throws {OutOfMemoryError} it is larger than this JavaScript engine's arrays may be: making one would abort. */
function checkArrayLength(bytes: number): void {
  if (bytes <= constants.MAX_LENGTH) return;
  throw new OutOfMemoryError({
    op: "allocating an array",
    expected: `at most ${constants.MAX_LENGTH} bytes, the most that an array of this version of Node can have`,
    got: `${bytes}`,
    hint: "Node 22 and later allow more",
  });
}

/**
 * The collector knows memory by the ArrayBuffers over it, and looks for garbage when there is much of it, so that models
 * that were dropped make room. Not at once, though: that would slow down every start.
 */
function tellCollector(arena: NativeArena): void {
  const reference = new WeakRef(arena);
  setTimeout(() => reference.deref()?.show(), TELL_AFTER).unref();
}

/** A whole file mapped into memory, read-only: writing to it would crash. Unmapped when nothing refers to it. */
export class NativeMapping implements MappedFile, NativeMemory {
  readonly address: bigint;
  readonly size: number;

  /** @throws {BackendError} */
  constructor(path: string) {
    const lib = nativeLibrary();
    const size = new BigInt64Array(1);
    const pointer = lib.map(path, size);
    if (!pointer) throw new BackendError({ op: `mapping ${path}`, got: `system error ${-size[0]!}` });
    const bytes = Number(size[0]);
    this.address = lib.address(pointer);
    this.size = bytes;
    blocks.register(this, () => lib.unmap(pointer, bytes));
  }

  window(offset: number, bytes: number): { buffer: ArrayBuffer; byteOffset: number } {
    return { buffer: makeView(this, offset, bytes), byteOffset: 0 };
  }

  /** Lets go of the memory of a part, which stays readable. */
  forget(offset: number, length: number): void {
    nativeLibrary().forget(this.address + BigInt(offset), length);
  }

  bytes(offset: number, length: number): Uint8Array {
    return length === 0 ? new Uint8Array(0) : new Uint8Array(makeView(this, offset, length));
  }
}

/** What the kernels expect of an address: a scale of a block is read as its two bytes. */
const ALIGNMENT: Readonly<Record<DType, number>> = { f32: 4, i32: 4, f16: 2, bf16: 2, q8_0: 2, q4_0: 2 };

/** An array in native memory. */
export class NativeArray implements DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly #memory: NativeMemory;
  readonly #byteOffset: number;
  #host: Float32Array | Int32Array | Uint8Array | undefined;

  constructor(dtype: DType, memory: NativeMemory, byteOffset: number, length: number) {
    this.dtype = dtype;
    this.length = length;
    this.#memory = memory;
    this.#byteOffset = byteOffset;
  }

  /** @throws {OutOfMemoryError} */
  static alloc(dtype: DType, length: number): NativeArray {
    const bytes = byteLength(dtype, length);
    checkArrayLength(bytes);
    return new NativeArray(dtype, new NativeArena(bytes), 0, length);
  }

  /** The array that a part of a mapped file is; undefined when another backend mapped it or it is not aligned. */
  static inPlace(dtype: DType, { file, offset, length }: MappedRange): NativeArray | undefined {
    if (!(file instanceof NativeMapping) || offset % ALIGNMENT[dtype] !== 0) return undefined;
    const { block, bytes } = DTYPES[dtype];
    return new NativeArray(dtype, file, offset, (length / bytes) * block);
  }

  get address(): bigint {
    return this.#memory.address + BigInt(this.#byteOffset);
  }

  /** Made when asked for: few arrays are looked at. */
  get host(): Float32Array | Int32Array | Uint8Array {
    if (this.#host) return this.#host;
    const { buffer, byteOffset } = this.#memory.window(this.#byteOffset, byteLength(this.dtype, this.length));
    this.#host = viewOf(this.dtype, buffer, byteOffset, this.length);
    return this.#host;
  }

  slice(start: number, length: number): NativeArray {
    if (start < 0 || length < 0 || start + length > this.length) {
      throw new BackendError({
        op: "slice",
        expected: `within ${this.length} elements`,
        got: `[${start}, ${start + length})`,
      });
    }
    return new NativeArray(this.dtype, this.#memory, this.#byteOffset + byteLength(this.dtype, start), length);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    this.host.set(source, hostIndex(this.dtype, offset));
  }

  async read(start = 0, length = this.length - start): Promise<Float32Array | Int32Array | Uint8Array> {
    return this.host.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
  }
}
