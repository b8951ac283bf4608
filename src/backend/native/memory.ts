import { constants } from "node:buffer";
import { getSystemErrorName } from "node:util";
import type { MappedFile, MappedRange } from "../../checkpoint/byte-source.js";
import type { WeightType } from "../../dtype/dtype.js";
import { BackendError, DisposedError, OutOfMemoryError } from "../../errors.js";
import type { Block, BlockView, Place } from "../kernels/machine.js";
import { nativeLibrary, type Resource } from "./library.js";

/** Maximum bytes of an ArrayBuffer in this engine: more would abort the process. */
export const MAX_ARRAY_BYTES = constants.MAX_LENGTH;

/** Releases memory that nothing refers to any more, whether or not it was disposed of. */
const collected = new FinalizationRegistry<Allocation>((allocation) => allocation.release());
/** The block to which a view's memory belongs: it lives as long as the view. */
const owners = new WeakMap<ArrayBuffer, NativeBlock>();
/** Views that were handed out, and may be used after their block is disposed of. */
const exposed = new FinalizationRegistry<Allocation>((allocation) => allocation.viewCollected());

/** A piece of the C side's memory, or a mapped file. It refers to no block, so that blocks can be garbage-collected. */
export class Allocation {
  readonly address: bigint;
  readonly bytes: number;
  readonly #live: Set<Allocation>;
  readonly #resource: Resource;
  #views = 0;
  #released = false;
  #freed = false;

  /** @param live all allocations of a machine that are not freed yet */
  constructor(live: Set<Allocation>, resource: Resource, bytes: number) {
    this.address = nativeLibrary().memory(resource);
    this.bytes = bytes;
    this.#live = live;
    this.#resource = resource;
    live.add(this);
  }

  /** Zeroed. @throws {OutOfMemoryError} */
  static ofMemory(live: Set<Allocation>, bytes: number): Allocation {
    const resource = nativeLibrary().alloc(bytes);
    if (resource) return new Allocation(live, resource, bytes);
    throw new OutOfMemoryError({ op: "allocating memory", expected: `${bytes} bytes`, got: "none from the system" });
  }

  /** A whole file, read-only: writing to it would crash. @throws {BackendError} */
  static ofFile(live: Set<Allocation>, path: string): Allocation {
    const size = new BigInt64Array(1);
    const resource = nativeLibrary().map(path, size);
    if (resource) return new Allocation(live, resource, Number(size[0]));
    const error = Number(-size[0]!);
    const got = process.platform === "win32" ? `Windows error ${error}` : getSystemErrorName(-error);
    throw new BackendError({ op: `mapping ${path}`, expected: "a file that can be mapped", got });
  }

  expose(buffer: ArrayBuffer): void {
    this.#views++;
    exposed.register(buffer, this);
  }

  /**
   * Returns the memory to the system at once. Its addresses are freed only when no view that was handed out is left:
   * until then a wrong use of a view finds zeros, or the old contents, and does no harm.
   */
  release(): void {
    if (!this.#released && this.#views > 0) nativeLibrary().discard(this.#resource);
    this.#released = true;
    this.#freeUnused();
  }

  viewCollected(): void {
    this.#views--;
    this.#freeUnused();
  }

  #freeUnused(): void {
    if (!this.#released || this.#freed || this.#views > 0) return;
    this.#freed = true;
    nativeLibrary().release(this.#resource);
    this.#live.delete(this);
  }
}

/** The parts of a machine that its blocks need. */
export interface BlockOwner {
  readonly disposed: boolean;
  /** Calls `job` as soon as no run or conversion can be using memory. */
  whenUnused(job: () => void): void;
}

/** Milliseconds after which the garbage collector learns of a block. */
const SHOW_AFTER = 1000;

/** Memory outside the JavaScript heap. */
export class NativeBlock implements Block {
  readonly length: number;
  readonly address: bigint;
  readonly owner: BlockOwner;
  readonly #allocation: Allocation;
  #whole: ArrayBuffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(owner: BlockOwner, allocation: Allocation) {
    this.owner = owner;
    this.#allocation = allocation;
    this.length = allocation.bytes;
    this.address = allocation.address;
    collected.register(this, allocation, this);
  }

  get disposed(): boolean {
    return this.#disposed || this.owner.disposed;
  }

  view(at: number, bytes: number): BlockView {
    if (this.#whole) return { buffer: this.#whole, byteOffset: at };
    return { buffer: this.#makeView(at, bytes), byteOffset: 0 };
  }

  expose({ buffer }: BlockView): void {
    this.#allocation.expose(buffer as ArrayBuffer);
  }

  write(at: number, source: Uint8Array): void {
    const { buffer, byteOffset } = this.view(at, source.length);
    new Uint8Array(buffer, byteOffset, source.length).set(source);
  }

  async read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const { buffer, byteOffset } = this.view(at, bytes);
    return new Uint8Array(new Uint8Array(buffer, byteOffset, bytes));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    clearTimeout(this.#timer);
    collected.unregister(this);
    const allocation = this.#allocation;
    this.owner.whenUnused(() => allocation.release());
  }

  /**
   * Shows the memory to the garbage collector, which counts memory by its ArrayBuffers and collects when there is much of it, so that
   * dropped models make room. Not at once, though: that would slow down every start.
   */
  showCollector(): void {
    if (this.length > MAX_ARRAY_BYTES) return;
    const reference = new WeakRef(this);
    this.#timer = setTimeout(() => reference.deref()?.show(), SHOW_AFTER).unref();
  }

  /** From now on all views use one ArrayBuffer. */
  protected show(): void {
    if (!this.disposed) this.#whole ??= this.#makeView(0, this.length);
  }

  #makeView(at: number, bytes: number): ArrayBuffer {
    checkArrayLength(bytes);
    const buffer = nativeLibrary().view(this.address + BigInt(at), bytes);
    owners.set(buffer, this);
    return buffer;
  }
}

/** @throws {OutOfMemoryError} it is larger than an array of this JavaScript engine may be. */
export function checkArrayLength(bytes: number): void {
  if (bytes <= MAX_ARRAY_BYTES) return;
  throw new OutOfMemoryError({
    op: "allocating an array",
    expected: `at most ${MAX_ARRAY_BYTES} bytes, the most that an array of this version of Node can have`,
    got: `${bytes}`,
    hint: "Node 22 and later allow more",
  });
}

/** A whole file mapped into memory. */
export class NativeFile extends NativeBlock implements MappedFile {
  get size(): number {
    return this.length;
  }

  bytes(offset: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    if (this.disposed) throw new DisposedError("reading a mapped file", "backend");
    const { buffer, byteOffset } = this.view(offset, length);
    this.expose({ buffer, byteOffset });
    return new Uint8Array(buffer, byteOffset, length);
  }

  /** Returns the memory of a part to the system; it stays readable. */
  forget(offset: number, length: number): void {
    nativeLibrary().forget(this.address + BigInt(offset), length);
  }
}

/** The alignment that the kernels need: a block's scale is read as two bytes. */
const ALIGNMENT: Readonly<Record<WeightType, number>> = { f32: 4, f16: 2, bf16: 2, q8_0: 2, q4_0: 2 };

export const IN_PLACE_TYPES = Object.keys(ALIGNMENT) as WeightType[];

/** The position of a range in one of a machine's mapped files; undefined for another's file or if it is not aligned. */
export function placeInFile(owner: BlockOwner, dtype: WeightType, { file, offset }: MappedRange): Place | undefined {
  const usable = file instanceof NativeFile && file.owner === owner && offset % ALIGNMENT[dtype] === 0;
  return usable ? { block: file, offset } : undefined;
}
