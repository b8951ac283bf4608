import { byteLength, type DType, elementsIn, hostIndex, viewOf as plainView } from "../../dtype/dtype.js";
import { DisposedError, OutOfMemoryError, ShapeError } from "../../errors.js";
import type { DeviceArray, HostArray } from "../backend.js";
import { checkElements } from "../check-elements.js";
import type { RunQueue } from "../run-queue.js";

/** Whether "f32" tensors are held in single precision or, to check gradients, in double precision. */
export type Precision = "f32" | "f64";

export const bytesPerElement = (precision: Precision): number => (precision === "f64" ? 8 : 4);

/** Bytes of `length` elements. */
export const bytesOf = (dtype: DType, length: number, precision: Precision): number =>
  dtype === "f32" ? length * bytesPerElement(precision) : byteLength(dtype, length);

/** A typed array for `dtype`, over existing memory. */
export function viewOf(memory: ArrayBufferLike, start: number, length: number, dtype: DType, p: Precision): HostArray {
  if (dtype === "f32" && p === "f64") return new Float64Array(memory, start, length);
  return plainView(dtype, memory, start, length);
}

/** Maximum bytes of an ArrayBuffer in current engines; many allow less. */
export const MAX_BYTES = 2 ** 33;

/** @throws {OutOfMemoryError} */
export function allocate(what: string, bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new OutOfMemoryError({ op: what, expected: `${bytes} bytes of memory`, got: "none from the engine", cause });
  }
}

/** Memory shared by arrays. */
export class ReferenceMemory {
  #disposed = false;

  /** @param queue of the backend to which it belongs */
  constructor(readonly queue: RunQueue) {}

  get disposed(): boolean {
    return this.#disposed || this.queue.closed;
  }

  dispose(): void {
    this.#disposed = true;
  }
}

/** An array in host memory. */
export class ReferenceArray implements DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly memory: ReferenceMemory;
  #host: HostArray | undefined;

  constructor(dtype: DType, memory: ReferenceMemory, host: HostArray, length: number) {
    this.dtype = dtype;
    this.memory = memory;
    this.#host = host;
    this.length = length;
  }

  get host(): HostArray {
    if (this.memory.disposed) throw new DisposedError("host memory of an array", "array");
    return this.#host!;
  }

  slice(start: number, length: number): ReferenceArray {
    this.#check("slice", start, length);
    const host = this.host.subarray(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
    return new ReferenceArray(this.dtype, this.memory, host, length);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    this.#check("write", offset, elementsIn(this.dtype, source.length));
    this.host.set(source, hostIndex(this.dtype, offset));
  }

  async read(start = 0, length = this.length - start): Promise<HostArray> {
    this.#check("read", start, length);
    await this.memory.queue.idle();
    return this.host.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
  }

  async copyFrom(source: DeviceArray, offset = 0): Promise<void> {
    this.#check("copy", offset, source.length);
    const own = source instanceof ReferenceArray && source.memory.queue === this.memory.queue;
    if (!own || source.dtype !== this.dtype) {
      const expected = `a source in ${this.dtype} of the same backend`;
      throw new ShapeError({ op: "copy between arrays", expected, got: `a source in ${source.dtype}` });
    }
    await this.memory.queue.add(() => this.host.set(source.host, hostIndex(this.dtype, offset)));
  }

  dispose(): void {
    this.memory.dispose();
    this.#host = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #check(action: string, start: number, length: number): void {
    if (this.memory.disposed) throw new DisposedError(`${action} of device memory`, "array");
    checkElements(action, start, length, this.length);
  }
}
