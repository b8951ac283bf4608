import { byteLength, type DType, elementsIn, hostIndex, viewOf as plainView } from "../../dtype/dtype.js";
import { OutOfMemoryError, ShapeError } from "../../errors.js";
import type { DeviceArray, HostArray } from "../backend.js";

/** Whether "f32" tensors are held in single or, to check gradients, in double precision. */
export type Precision = "f32" | "f64";

export const bytesPerElement = (precision: Precision): number => (precision === "f64" ? 8 : 4);

/** Bytes of `length` elements. */
export const bytesOf = (dtype: DType, length: number, precision: Precision): number =>
  dtype === "f32" ? length * bytesPerElement(precision) : byteLength(dtype, length);

/** A typed array of the kind that holds `dtype`, over existing memory. */
export function viewOf(memory: ArrayBufferLike, start: number, length: number, dtype: DType, p: Precision): HostArray {
  if (dtype === "f32" && p === "f64") return new Float64Array(memory, start, length);
  return plainView(dtype, memory, start, length);
}

/** @throws {OutOfMemoryError} */
export function allocate(what: string, bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new OutOfMemoryError({ op: what, expected: `${bytes} bytes of memory`, got: "a refusal", cause });
  }
}

/** Memory of the reference backend: the host's own. Reading waits until the runs started before it are done. */
export class ReferenceArray implements DeviceArray {
  constructor(
    readonly dtype: DType,
    readonly host: HostArray,
    readonly length: number,
    private readonly idle: () => Promise<void>,
  ) {}

  slice(start: number, length: number): ReferenceArray {
    this.#check("slice", start, length);
    const host = this.host.subarray(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
    return new ReferenceArray(this.dtype, host, length, this.idle);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    this.#check("write", offset, elementsIn(this.dtype, source.length));
    this.host.set(source, hostIndex(this.dtype, offset));
  }

  async read(start = 0, length = this.length - start): Promise<HostArray> {
    this.#check("read", start, length);
    await this.idle();
    return this.host.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
  }

  #check(action: string, start: number, length: number): void {
    if (Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 0) {
      if (start + length <= this.length) return;
    }
    throw new ShapeError({
      op: `${action} of device memory`,
      expected: `elements within 0 to ${this.length}`,
      got: `${length} from ${start} on`,
    });
  }
}
