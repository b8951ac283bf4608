import { OutOfMemoryError } from "../../errors.js";
import type { BufferDecl, Program } from "../../program/program.js";
import { addBlockAddresses, encodeProgram } from "../kernels/encode.js";
import type { Block, BlockView, Code, EncodedValues, Machine, Place } from "../kernels/machine.js";
import { OP_BYTES } from "../kernels/op-layout.js";
import { RunQueue } from "../run-queue.js";
import { createMemory, Heap } from "./heap.js";
import { INITIAL_PAGES, type Kernels } from "./module.js";

/** A WebAssembly memory held by this thread, and the kernels' data in it. */
export abstract class LinearMachine implements Machine {
  abstract readonly threads: number;
  /** A description for users of where the kernels run. */
  abstract readonly place: string;
  protected readonly queue = new RunQueue("wasm backend");
  /** Undefined once disposed, so that a lingering reference to this machine keeps no memory. */
  #memory: LinearMemory | undefined;
  #kernels: Kernels | undefined;

  constructor(memory: LinearMemory, kernels: Kernels) {
    this.#memory = memory;
    this.#kernels = kernels;
    const { queue } = this;
    memory.freeWhen((job) => queue.whenIdle(job));
  }

  /** Runs the prepared run; throws if it fails. @param count operations */
  protected abstract execute(count: number): Promise<void>;
  abstract peakFlops(): Promise<number>;

  protected get memory(): LinearMemory {
    return this.#memory!;
  }

  protected get kernels(): Kernels {
    return this.#kernels!;
  }

  alloc(bytes: number): LinearBlock {
    return this.memory.alloc(bytes);
  }

  load(program: Program, placeOf: (buffer: BufferDecl) => Place): LinearCode {
    const blocks = new Set<LinearBlock>();
    const ops = encodeProgram(program, (buffer) => {
      const block = placeOf(buffer).block as LinearBlock;
      blocks.add(block);
      return BigInt(block.address + placeOf(buffer).offset);
    });
    return this.#load(ops, blocks);
  }

  /** Loads operations that were encoded elsewhere, with `blockAddress` addresses in these blocks. */
  loadEncoded(ops: Uint8Array, blocks: readonly LinearBlock[]): LinearCode {
    const bases = blocks.map((block) => block.address);
    return this.#load(addBlockAddresses(ops, bases), new Set(blocks));
  }

  #load(ops: Uint8Array, blocks: ReadonlySet<LinearBlock>): LinearCode {
    const block = this.memory.alloc(ops.length);
    block.write(0, ops);
    return new LinearCode(ops.length / OP_BYTES, block, blocks);
  }

  run(code: Code, values: EncodedValues, seconds?: Float64Array): Promise<void> {
    return this.queue.add(async () => {
      const linear = code as LinearCode;
      if (linear.count === 0) return;
      const times = seconds && this.memory.alloc(seconds.byteLength);
      try {
        this.#set(linear, values, times);
        await this.execute(linear.count);
        if (times) addTo(seconds, new Float64Array(times.copy(0, times.length).buffer));
      } finally {
        times?.dispose();
      }
    });
  }

  /** Prepares the kernels' next run. */
  #set(code: LinearCode, { dims, scalars }: EncodedValues, times: LinearBlock | undefined): void {
    code.values ??= this.memory.alloc(dims.byteLength + scalars.byteLength);
    code.values.write(0, new Uint8Array(dims.buffer));
    code.values.write(dims.byteLength, new Uint8Array(scalars.buffer));
    const { address } = code.values;
    this.kernels.gpt2_set(code.ops.address, code.count, address, address + dims.byteLength, times?.address ?? 0);
  }

  copy(to: Place, from: Place, bytes: number): Promise<void> {
    return this.queue.add(() => this.memory.copy(to, from, bytes));
  }

  idle(): Promise<unknown> {
    return this.queue.idle();
  }

  async dispose(): Promise<void> {
    await this.queue.close();
    this.#memory?.dispose();
    this.#memory = undefined;
    this.#kernels = undefined;
  }
}

/** Allocates blocks in a WebAssembly memory. */
export class LinearMemory {
  readonly shared: boolean;
  #memory: WebAssembly.Memory | undefined;
  #heap: Heap | undefined;
  #whenUnused: (job: () => void) => void = (job) => job();
  /** Frees blocks that nothing refers to any more. */
  readonly #collected: FinalizationRegistry<Range>;

  constructor(shared: boolean) {
    const { memory, pages } = createMemory(INITIAL_PAGES, shared);
    const heap = new Heap(memory, pages);
    this.shared = shared;
    this.#memory = memory;
    this.#heap = heap;
    this.#collected = new FinalizationRegistry(({ address, bytes }) => heap.free(address, bytes));
  }

  get disposed(): boolean {
    return this.#memory === undefined;
  }

  get memory(): WebAssembly.Memory {
    return this.#memory!;
  }

  /** Sets how to wait until no run can be using a block. */
  freeWhen(whenUnused: (job: () => void) => void): void {
    this.#whenUnused = whenUnused;
  }

  /** Allocates memory that is never freed. */
  reserve(bytes: number): number {
    return this.#heap!.alloc(bytes);
  }

  alloc(bytes: number): LinearBlock {
    const address = this.#heap!.alloc(bytes);
    const block = new LinearBlock(this, address, bytes);
    this.#collected.register(block, { address, bytes }, block);
    return block;
  }

  free(block: LinearBlock): void {
    this.#collected.unregister(block);
    const { address, length } = block;
    this.#whenUnused(() => this.#heap?.free(address, length));
  }

  copy(to: Place, from: Place, bytes: number): void {
    const start = (from.block as LinearBlock).address + from.offset;
    new Uint8Array(this.memory.buffer).copyWithin((to.block as LinearBlock).address + to.offset, start, start + bytes);
  }

  dispose(): void {
    this.#memory = undefined;
    this.#heap = undefined;
  }
}

interface Range {
  readonly address: number;
  readonly bytes: number;
}

export class LinearBlock implements Block {
  #disposed = false;

  constructor(
    readonly owner: LinearMemory,
    readonly address: number,
    readonly length: number,
  ) {}

  get disposed(): boolean {
    return this.#disposed || this.owner.disposed;
  }

  /** Unshared memory gets a new ArrayBuffer whenever it grows. */
  view(at: number, _bytes: number): BlockView | undefined {
    const { memory, shared } = this.owner;
    return shared ? { buffer: memory.buffer, byteOffset: this.address + at } : undefined;
  }

  /** A stale view sees whatever the memory is used for next, but always valid memory. */
  expose(): void {}

  write(at: number, source: Uint8Array): void {
    new Uint8Array(this.owner.memory.buffer, this.address + at, source.length).set(source);
  }

  async read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.copy(at, bytes);
  }

  copy(at: number, bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new Uint8Array(this.owner.memory.buffer, this.address + at, bytes));
  }

  dispose(): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.owner.free(this);
  }
}

export class LinearCode implements Code {
  values: LinearBlock | undefined;

  constructor(
    readonly count: number,
    readonly ops: LinearBlock,
    /** Keeps the memory that the operations use from being garbage-collected. */
    readonly blocks: ReadonlySet<LinearBlock>,
  ) {}

  dispose(): void {
    this.ops.dispose();
    this.values?.dispose();
  }
}

function addTo(sums: Float64Array, values: Float64Array): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += values[i]!;
}

/** @throws {OutOfMemoryError} this result of a run says that memory ran out. */
export function checkResult(result: number): void {
  if (result === 0) return;
  throw new OutOfMemoryError({
    op: "WebAssembly memory",
    expected: "memory for a kernel's scratch",
    got: "no more of the 4 GiB that 32-bit addresses reach",
    hint: "Use smaller batches or a shorter context",
  });
}
