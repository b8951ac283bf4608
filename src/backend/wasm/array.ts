import { ShapeError } from "../../errors.js";
import type { DType } from "../../program/program.js";
import type { DeviceArray } from "../backend.js";
import type { Block } from "./machine.js";

/** An array in a machine's memory. */
export class WasmArray implements DeviceArray {
  readonly host: Float32Array | Int32Array | undefined;

  constructor(
    readonly dtype: DType,
    readonly block: Block,
    readonly byteOffset: number,
    readonly length: number,
  ) {
    const { memory } = block;
    this.host = memory && view(dtype, memory.buffer, memory.byteOffset + byteOffset, length);
  }

  slice(start: number, length: number): WasmArray {
    this.#check("slice", start, length);
    return new WasmArray(this.dtype, this.block, this.byteOffset + 4 * start, length);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    this.#check("write", offset, source.length);
    if (this.host) {
      this.host.set(source, offset);
      return;
    }
    const copy = this.dtype === "f32" ? Float32Array.from(source) : Int32Array.from(source);
    this.block.write(this.byteOffset + 4 * offset, new Uint8Array(copy.buffer));
  }

  async read(start = 0, length = this.length - start): Promise<Float32Array | Int32Array> {
    this.#check("read", start, length);
    if (this.host) return this.host.slice(start, start + length);
    const { buffer } = await this.block.read(this.byteOffset + 4 * start, 4 * length);
    return view(this.dtype, buffer, 0, length);
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

function view(dtype: DType, buffer: ArrayBufferLike, byteOffset: number, length: number): Float32Array | Int32Array {
  return dtype === "f32" ? new Float32Array(buffer, byteOffset, length) : new Int32Array(buffer, byteOffset, length);
}
