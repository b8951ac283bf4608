import { byteLength, type DType, elementsIn, hostIndex, viewOf } from "../../dtype/dtype.js";
import { DisposedError, ShapeError } from "../../errors.js";
import type { DeviceArray } from "../backend.js";
import { checkElements } from "../check-elements.js";
import type { Block, BlockView, Machine } from "./machine.js";

type PlainArray = Float32Array | Int32Array | Uint8Array;

/** An array in a machine's memory. */
export class KernelArray implements DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly machine: Machine;
  readonly block: Block;
  readonly byteOffset: number;
  /** For an i32 array whose memory this thread cannot see: a copy of what was written. */
  readonly #mirror: Int32Array | undefined;
  #view: { readonly memory: BlockView; readonly elements: PlainArray } | undefined;
  #exposed = false;

  constructor(machine: Machine, dtype: DType, block: Block, byteOffset: number, length: number, mirror?: Int32Array) {
    this.machine = machine;
    this.dtype = dtype;
    this.block = block;
    this.byteOffset = byteOffset;
    this.length = length;
    this.#mirror = mirror ?? (dtype === "i32" && !this.#look() ? new Int32Array(length) : undefined);
  }

  /** The contents of an i32 array, which operations only read. */
  get indices(): Int32Array {
    return this.#mirror ?? (this.#look()!.elements as Int32Array);
  }

  get host(): PlainArray | undefined {
    this.#checkAlive("host memory of an array");
    const view = this.#look();
    if (view && !this.#exposed) {
      this.block.expose(view.memory);
      this.#exposed = true;
    }
    return view?.elements;
  }

  slice(start: number, length: number): KernelArray {
    this.#checkRange("slice", start, length);
    const offset = this.byteOffset + byteLength(this.dtype, start);
    const mirror = this.#mirror?.subarray(start, start + length);
    return new KernelArray(this.machine, this.dtype, this.block, offset, length, mirror);
  }

  write(source: ArrayLike<number>, offset = 0): void {
    const length = elementsIn(this.dtype, source.length);
    this.#checkRange("write", offset, length);
    const elements = this.#look()?.elements;
    if (elements) {
      elements.set(source, hostIndex(this.dtype, offset));
      return;
    }
    const copy = viewOf(this.dtype, new ArrayBuffer(byteLength(this.dtype, length)), 0, length);
    copy.set(source);
    this.#mirror?.set(copy, offset);
    this.block.write(this.byteOffset + byteLength(this.dtype, offset), new Uint8Array(copy.buffer as ArrayBuffer));
  }

  async read(start = 0, length = this.length - start): Promise<PlainArray> {
    this.#checkRange("read", start, length);
    await this.machine.idle();
    this.#checkRange("read", start, length);
    const elements = this.#look()?.elements;
    if (elements) return elements.slice(hostIndex(this.dtype, start), hostIndex(this.dtype, start + length));
    const [from, bytes] = [byteLength(this.dtype, start), byteLength(this.dtype, length)];
    const { buffer } = await this.block.read(this.byteOffset + from, bytes);
    return viewOf(this.dtype, buffer, 0, length);
  }

  async copyFrom(source: DeviceArray, offset = 0): Promise<void> {
    this.#checkRange("copy", offset, source.length);
    if (!(source instanceof KernelArray) || source.machine !== this.machine || source.dtype !== this.dtype) {
      const expected = `a source in ${this.dtype} of the same backend`;
      throw new ShapeError({ op: "copy between arrays", expected, got: `a source in ${source.dtype}` });
    }
    source.#checkRange("copy", 0, source.length);
    const to = { block: this.block, offset: this.byteOffset + byteLength(this.dtype, offset) };
    const from = { block: source.block, offset: source.byteOffset };
    if (source.#mirror) this.#mirror!.set(source.#mirror, offset);
    await this.machine.copy(to, from, byteLength(this.dtype, source.length));
  }

  dispose(): void {
    this.block.dispose();
    this.#view = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Makes the view on first use: most arrays are never read here. */
  #look() {
    if (this.#view) return this.#view;
    const memory = this.block.view(this.byteOffset, byteLength(this.dtype, this.length));
    this.#view = memory && { memory, elements: viewOf(this.dtype, memory.buffer, memory.byteOffset, this.length) };
    return this.#view;
  }

  #checkAlive(op: string): void {
    if (this.block.disposed) throw new DisposedError(op, "array");
  }

  #checkRange(action: string, start: number, length: number): void {
    this.#checkAlive(`${action} of device memory`);
    checkElements(action, start, length, this.length);
  }
}
