import { OutOfMemoryError } from "../../errors.js";
import type { BufferDecl, Program } from "../../program/program.js";
import { encodeProgram } from "../kernels/encode.js";
import type { Code, EncodedValues, Machine, Place } from "../kernels/machine.js";
import { RunQueue } from "../run-queue.js";
import type { ConversionFailure, WeightConversion } from "../weight-conversion.js";
import { convertWeights } from "./convert.js";
import { type NativeLibrary, type NativeRun, nativeLibrary, type Resource } from "./library.js";
import { Allocation, type BlockOwner, checkArrayLength, NativeBlock, NativeFile } from "./memory.js";

const collectedTeams = new FinalizationRegistry<() => void>((free) => free());

/** The longest acceptable delay of the event loop, in ms: waking another thread for a run, and this one at its end, takes 0.1 to 0.2. */
const INLINE_LIMIT = 10;

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A team of native threads. One call runs a whole Program, off the event loop unless it is short. */
export class NativeMachine implements Machine, BlockOwner {
  readonly threads: number;
  readonly #lib: NativeLibrary = nativeLibrary();
  readonly #team: Resource;
  readonly #queue = new RunQueue("native backend");
  /** Weight conversions under way: they run beside everything else. */
  readonly #conversions = new Set<Promise<unknown>>();
  readonly #live = new Set<Allocation>();

  /** @param team of gpt2_team */
  constructor(team: Resource, threads: number) {
    this.#team = team;
    this.threads = threads;
    const lib = this.#lib;
    collectedTeams.register(this, () => lib.release(team), this);
  }

  get disposed(): boolean {
    return this.#queue.closed;
  }

  alloc(bytes: number): NativeBlock {
    checkArrayLength(bytes);
    return this.#newBlock(bytes);
  }

  /** A block of any size: no single view has to hold it. */
  #newBlock(bytes: number): NativeBlock {
    const block = new NativeBlock(this, Allocation.ofMemory(this.#live, bytes));
    block.showCollector();
    return block;
  }

  /** @throws {BackendError} */
  mapFile(path: string): NativeFile {
    return new NativeFile(this, Allocation.ofFile(this.#live, path));
  }

  load(program: Program, placeOf: (buffer: BufferDecl) => Place): NativeCode {
    const blocks = new Set<NativeBlock>();
    const ops = encodeProgram(program, (buffer) => {
      const { block, offset } = placeOf(buffer);
      blocks.add(block as NativeBlock);
      return (block as NativeBlock).address + BigInt(offset);
    });
    return new NativeCode(program.name, ops, program.ops.length, blocks);
  }

  async run(code: Code, { dims, scalars }: EncodedValues, seconds?: Float64Array): Promise<void> {
    const { name, ops, count, inline } = code as NativeCode;
    const sizes = dims.join();
    const start = performance.now();
    const result = await this.#queue.add(async () => {
      const args: NativeRun = [this.#team, ops, count, dims, scalars, seconds ?? null];
      if (!inline.expected(sizes)) return this.#lib.run(...args);
      await eventLoopTurn();
      return this.#lib.runHere(...args);
    });
    inline.record(sizes, performance.now() - start);
    if (result === 0) return;
    throw new OutOfMemoryError({
      op: `running ${name}`,
      expected: "memory for a kernel's scratch",
      got: "no more memory",
    });
  }

  async copy(to: Place, from: Place, bytes: number): Promise<void> {
    await this.#queue.add(() => {
      const source = from.block.view(from.offset, bytes)!;
      (to.block as NativeBlock).write(to.offset, new Uint8Array(source.buffer, source.byteOffset, bytes));
    });
  }

  idle(): Promise<unknown> {
    return this.#queue.idle();
  }

  peakFlops(): Promise<number> {
    return this.#queue.add(() => this.#lib.peakFlops(this.#team));
  }

  async convertWeights(conversions: readonly WeightConversion[]): Promise<ConversionFailure | undefined> {
    const conversion = convertWeights(this.#team, conversions);
    this.#conversions.add(conversion);
    try {
      return await conversion;
    } finally {
      this.#conversions.delete(conversion);
    }
  }

  whenUnused(job: () => void): void {
    if (this.#conversions.size === 0) this.#queue.whenIdle(job);
    else void Promise.allSettled(this.#conversions).then(() => this.#queue.whenIdle(job));
  }

  async dispose(): Promise<void> {
    await this.#queue.close();
    await Promise.allSettled(this.#conversions);
    for (const allocation of [...this.#live]) allocation.release();
    collectedTeams.unregister(this);
    this.#lib.release(this.#team);
  }
}

class NativeCode implements Code {
  readonly inline = new InlineRuns();

  constructor(
    readonly name: string,
    readonly ops: Uint8Array,
    readonly count: number,
    /** Keeps the memory that the operations use from being garbage-collected during a run. */
    readonly blocks: ReadonlySet<NativeBlock>,
  ) {}

  /** The encoded operations are in JavaScript's own memory. */
  dispose(): void {}
}

/** Predicts inline runs: those of the same sizes as the previous run, if that was short. */
class InlineRuns {
  #sizes = "";
  #short = false;

  expected(sizes: string): boolean {
    return this.#short && sizes === this.#sizes;
  }

  record(sizes: string, milliseconds: number): void {
    this.#sizes = sizes;
    this.#short = milliseconds < INLINE_LIMIT;
  }
}
