import { constants } from "node:buffer";
import { byteLength, DTYPES, type DType, hostIndex, viewOf } from "../../dtype/dtype.js";
import { BackendError, OutOfMemoryError } from "../../errors.js";
import type { DeviceArray } from "../backend.js";
import { nativeLibrary } from "./library.js";

/** Memory is given back when nothing refers to it any more. */
const blocks = new FinalizationRegistry<() => void>((free) => free());

/** Memory of the C side as an ArrayBuffer, with its address. */
export interface NativeBlock {
  readonly buffer: ArrayBuffer;
  readonly address: bigint;
}

/** Zeroed memory outside the JavaScript heap, of any size, freed when nothing refers to it or to a view of it. */
export class NativeArena {
  readonly address: bigint;

  /** @throws {OutOfMemoryError} */
  constructor(bytes: number) {
    const lib = nativeLibrary();
    const pointer = lib.alloc(bytes);
    if (!pointer) throw new OutOfMemoryError({ op: "allocating memory", expected: `${bytes} bytes`, got: "a refusal" });
    this.address = lib.address(pointer);
    blocks.register(this, () => lib.free(pointer, bytes));
  }

  /** A part of it as an ArrayBuffer. @throws {OutOfMemoryError} it is larger than this JavaScript engine's arrays may be. */
  view(offset: number, bytes: number): NativeBlock {
    if (bytes > constants.MAX_LENGTH) {
      throw new OutOfMemoryError({
        op: "allocating an array",
        expected: `at most ${constants.MAX_LENGTH} bytes, the most that an array of this version of Node can have`,
        got: `${bytes}`,
        hint: "Node 22 and later allow more",
      });
    }
    const address = this.address + BigInt(offset);
    const buffer = nativeLibrary().view(address, bytes);
    owners.set(buffer, this);
    return { buffer, address };
  }
}

/** What a view's memory belongs to lives as long as the view. */
const owners = new WeakMap<ArrayBuffer, NativeArena>();

export function allocBlock(bytes: number): NativeBlock {
  return new NativeArena(bytes).view(0, bytes);
}

/** A whole file mapped into memory, read-only: writing to it would crash. Unmapped when its last view is gone. */
export function mapFile(path: string): NativeBlock {
  const lib = nativeLibrary();
  const size = new BigInt64Array(1);
  const pointer = lib.map(path, size);
  if (!pointer) throw new BackendError({ op: `mapping ${path}`, got: `system error ${-size[0]!}` });
  const bytes = Number(size[0]);
  if (bytes > constants.MAX_LENGTH) {
    // A view of it would abort the process.
    lib.unmap(pointer, bytes);
    throw new BackendError({
      op: `mapping ${path}`,
      expected: `at most ${constants.MAX_LENGTH} bytes`,
      got: `${bytes}`,
    });
  }
  const buffer = lib.view(pointer, bytes);
  mappedAddresses.set(buffer, lib.address(pointer));
  blocks.register(buffer, () => lib.unmap(pointer, bytes));
  return { buffer, address: lib.address(pointer) };
}

/** Addresses of mapped files, so that a tensor inside one can be used in place. */
const mappedAddresses = new WeakMap<ArrayBufferLike, bigint>();

/** What the kernels expect of an address: a scale of a block is read as its two bytes. */
const ALIGNMENT: Readonly<Record<DType, number>> = { f32: 4, i32: 4, f16: 2, bf16: 2, q8_0: 2, q4_0: 2 };

/** An array in native memory. */
export class NativeArray implements DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly host: Float32Array | Int32Array | Uint8Array;
  readonly address: bigint;

  constructor(dtype: DType, block: NativeBlock, byteOffset: number, length: number) {
    this.dtype = dtype;
    this.length = length;
    this.host = viewOf(dtype, block.buffer, byteOffset, length);
    this.address = block.address + BigInt(byteOffset);
  }

  /** The array that `bytes`, a part of a mapped file, is; undefined when they are not mapped or not aligned. */
  static inPlace(dtype: DType, bytes: Uint8Array): NativeArray | undefined {
    const address = mappedAddresses.get(bytes.buffer);
    if (address === undefined || bytes.byteOffset % ALIGNMENT[dtype] !== 0) return undefined;
    const block = { buffer: bytes.buffer as ArrayBuffer, address };
    const { block: values, bytes: width } = DTYPES[dtype];
    return new NativeArray(dtype, block, bytes.byteOffset, (bytes.byteLength / width) * values);
  }

  slice(start: number, length: number): NativeArray {
    if (start < 0 || length < 0 || start + length > this.length) {
      throw new BackendError({
        op: "slice",
        expected: `within ${this.length} elements`,
        got: `[${start}, ${start + length})`,
      });
    }
    const { buffer, byteOffset } = this.host;
    const block = { buffer: buffer as ArrayBuffer, address: this.address - BigInt(byteOffset) };
    return new NativeArray(this.dtype, block, byteOffset + byteLength(this.dtype, start), length);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    this.host.set(source, hostIndex(this.dtype, offset));
  }

  async read(start = 0, length = this.length - start): Promise<Float32Array | Int32Array | Uint8Array> {
    return this.host.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
  }
}
