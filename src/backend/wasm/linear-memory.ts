import { ShapeError } from "../../errors.js";
import { createMemory, Heap } from "./heap.js";
import { INITIAL_PAGES, type Kernels } from "./instance.js";
import type { Block, Code, CodeValues } from "./machine.js";
import { relocate } from "./relocate.js";

/** A WebAssembly memory that this thread holds, and what it keeps there for the kernels. */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly heap: Heap;
  /** Blocks are freed when nothing refers to them any more. */
  readonly #blocks: FinalizationRegistry<{ readonly address: number; readonly bytes: number }>;

  constructor(readonly shared: boolean) {
    const { memory, pages } = createMemory(INITIAL_PAGES, shared);
    const heap = new Heap(memory, pages);
    this.memory = memory;
    this.heap = heap;
    this.#blocks = new FinalizationRegistry(({ address, bytes }) => heap.free(address, bytes));
  }

  alloc(bytes: number): LinearBlock {
    const address = this.heap.alloc(bytes);
    const block = new LinearBlock(this, address, bytes);
    this.#blocks.register(block, { address, bytes }, block);
    return block;
  }

  /** At once: nothing may use the block any more. */
  free(block: LinearBlock): void {
    if (this.#blocks.unregister(block)) this.heap.free(block.address, block.bytes);
  }

  /** What a block of doubles holds; the block is freed. */
  take(block: LinearBlock): Float64Array<ArrayBuffer> {
    const { buffer } = block.copy(0, block.bytes);
    this.free(block);
    return new Float64Array(buffer);
  }

  load(ops: Uint8Array, blocks: readonly Block[], count: number): LinearCode {
    const mine = blocks.map((block) => {
      if (block instanceof LinearBlock && block.owner === this) return block;
      throw new ShapeError({ op: "loading operations", expected: "memory of this backend", got: "another's" });
    });
    const bytes = relocate(
      ops,
      mine.map((block) => block.address),
    );
    const block = this.alloc(bytes.length);
    block.write(0, bytes);
    return new LinearCode(count, block, mine);
  }

  /** Tells the kernels what the next run is. Returns where it will add its times, if `timed`. */
  set(kernels: Kernels, code: LinearCode, { dims, scalars }: CodeValues, timed: boolean): LinearBlock | undefined {
    code.values ??= this.alloc(dims.byteLength + scalars.byteLength);
    code.values.write(0, new Uint8Array(dims.buffer));
    code.values.write(dims.byteLength, new Uint8Array(scalars.buffer));
    const seconds = timed ? this.alloc(8 * code.count) : undefined;
    const { address } = code.values;
    kernels.gpt2_set(code.ops.address, code.count, address, address + dims.byteLength, seconds?.address ?? 0);
    return seconds;
  }
}

export class LinearBlock implements Block {
  constructor(
    readonly owner: LinearMemory,
    readonly address: number,
    readonly bytes: number,
  ) {}

  /** Memory that is not shared gets a new ArrayBuffer whenever it grows. */
  get memory(): { buffer: ArrayBufferLike; byteOffset: number } | undefined {
    const { memory, shared } = this.owner;
    return shared ? { buffer: memory.buffer, byteOffset: this.address } : undefined;
  }

  write(at: number, source: Uint8Array): void {
    new Uint8Array(this.owner.memory.buffer, this.address + at, source.length).set(source);
  }

  async read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.copy(at, bytes);
  }

  copy(at: number, bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new Uint8Array(this.owner.memory.buffer, this.address + at, bytes));
  }
}

export class LinearCode implements Code {
  values: LinearBlock | undefined;

  constructor(
    readonly count: number,
    readonly ops: LinearBlock,
    /** Keeps the memory that the operations use from being freed. */
    readonly blocks: readonly LinearBlock[],
  ) {}
}
