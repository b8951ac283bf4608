import { byteLength, type DType, elementsIn, hostIndex, viewOf } from "../../dtype/dtype.js";
import { ShapeError } from "../../errors.js";
import type { DeviceArray } from "../backend.js";
import type { Block } from "./machine.js";

/** An array in a machine's memory. */
export class WasmArray implements DeviceArray {
  readonly host: Float32Array | Int32Array | Uint8Array | undefined;

  constructor(
    readonly dtype: DType,
    readonly block: Block,
    readonly byteOffset: number,
    readonly length: number,
  ) {
    const { memory } = block;
    this.host = memory && viewOf(dtype, memory.buffer, memory.byteOffset + byteOffset, length);
  }

  slice(start: number, length: number): WasmArray {
    this.#check("slice", start, length);
    return new WasmArray(this.dtype, this.block, this.byteOffset + byteLength(this.dtype, start), length);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    const length = elementsIn(this.dtype, source.length);
    this.#check("write", offset, length);
    if (this.host) {
      this.host.set(source, hostIndex(this.dtype, offset));
      return;
    }
    const copy = viewOf(this.dtype, new ArrayBuffer(byteLength(this.dtype, length)), 0, length);
    copy.set(source);
    this.block.write(this.byteOffset + byteLength(this.dtype, offset), new Uint8Array(copy.buffer as ArrayBuffer));
  }

  async read(start = 0, length = this.length - start): Promise<Float32Array | Int32Array | Uint8Array> {
    this.#check("read", start, length);
    if (this.host) return this.host.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
    const [from, bytes] = [byteLength(this.dtype, start), byteLength(this.dtype, length)];
    const { buffer } = await this.block.read(this.byteOffset + from, bytes);
    return viewOf(this.dtype, buffer, 0, length);
  }

  #check(action: string, start: number, length: number): void {
    if (Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 0) {
      if (start + length <= this.length) return;
    }
    throw new ShapeError({
      op: `${action} of wasm memory`,
      expected: `within ${this.length} elements`,
      got: `[${start}, ${start + length})`,
    });
  }
}
