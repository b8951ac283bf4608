import { availableParallelism } from "node:os";
import type { DType } from "../../dtype/dtype.js";
import { BackendError, OutOfMemoryError, UsageError } from "../../errors.js";
import { planMemory } from "../../program/plan.js";
import { type BufferDecl, type Program, type RunValues, resolveRun } from "../../program/program.js";
import type { Backend, Bindings, DeviceArray, Executable, PrepareOptions } from "../backend.js";
import { boundArray, capturedBuffer } from "../bound-buffers.js";
import type { ConversionFailure, WeightConversion } from "../weight-conversion.js";
import { convertWeights } from "./convert.js";
import { encodeProgram } from "./encode.js";
import { type NativeLibrary, nativeLibrary } from "./library.js";
import { NativeArena, NativeArray } from "./memory.js";

export { nativeLibrary } from "./library.js";
export { NativeArray, NativeMapping } from "./memory.js";

export interface NativeOptions {
  /** Threads that compute; by default `GPT2_THREADS`, else all processors. */
  readonly threads?: number;
  /** Instruction set: `avx512-vnni`, `avx512`, `avx-vnni`, `avx2`, `baseline` (SSE2), `neon-dotprod` or `neon`; by default `GPT2_ISA`, else the best this machine has. */
  readonly isa?: string;
}

/** Instruction sets this machine can run, best first. */
export function nativeIsas(): string[] {
  const lib = nativeLibrary();
  return ["avx512-vnni", "avx512", "avx-vnni", "avx2", "neon-dotprod", "neon", "baseline"].filter((isa) =>
    lib.hasIsa(isa),
  );
}

/**
 * C kernels on a team of threads of their own; one call runs a whole Program, off the event loop unless it is brief.
 *
 * @throws {BackendError} the kernels were not built, or the instruction set is not there.
 */
export function nativeBackend(options: NativeOptions = {}): NativeBackend {
  return new NativeBackend(options);
}

function threadCount(option: number | undefined): number {
  const env = process.env.GPT2_THREADS;
  const threads = option ?? (env ? Number(env) : availableParallelism());
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new UsageError({
      op: option === undefined ? "GPT2_THREADS" : "threads",
      expected: "an integer from 1 to 1024",
      got: String(option ?? env),
    });
  }
  return threads;
}

const teams = new FinalizationRegistry<() => void>((free) => free());

export class NativeBackend implements Backend {
  readonly name = "native";
  readonly threads: number;
  readonly isa: string;
  readonly #lib: NativeLibrary;
  readonly #team: unknown;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: NativeOptions) {
    this.#lib = nativeLibrary();
    this.threads = threadCount(options.threads);
    this.isa = options.isa ?? (process.env.GPT2_ISA || this.#lib.bestIsa());
    if (!this.#lib.hasIsa(this.isa)) {
      throw new BackendError({
        op: "native backend: instruction set",
        expected: nativeIsas().join(" or "),
        got: this.isa,
      });
    }
    const lib = this.#lib;
    const team = lib.team(this.threads, this.isa);
    if (!team) throw new BackendError({ op: "native backend", expected: `${this.threads} threads`, got: "fewer" });
    this.#team = team;
    teams.register(this, () => lib.teamFree(team));
  }

  get description(): string {
    return `native (${this.isa}, ${this.threads} thread${this.threads === 1 ? "" : "s"})`;
  }

  alloc(dtype: DType, length: number): NativeArray {
    return NativeArray.alloc(dtype, length);
  }

  prepare(program: Program, bindings: Bindings, options: PrepareOptions = {}): Executable {
    return new NativeExecutable(this, program, bindings, options);
  }

  /** Multiply-add peak of the team, FLOP/s: what a kernel could reach at best. Takes a fraction of a second. */
  peakFlops(): Promise<number> {
    return this.enqueue(() => this.#lib.peakFlops(this.#team));
  }

  /** One after the other on one thread, beside whatever runs; several calls may be under way. */
  convertWeights(conversions: readonly WeightConversion[]): Promise<ConversionFailure | undefined> {
    return convertWeights(this.#team, conversions);
  }

  /**
   * Runs encoded operations after everything enqueued before; on the calling thread if `brief`, when all that is waiting
   * in the event loop has had its turn.
   */
  runOps(
    ops: Uint8Array,
    count: number,
    dims: BigInt64Array,
    scalars: Float64Array,
    seconds: Float64Array | null,
    brief: boolean,
  ): Promise<number> {
    return this.enqueue(async () => {
      if (!brief) return this.#lib.run(this.#team, ops, count, dims, scalars, seconds);
      await eventLoopTurn();
      return this.#lib.runHere(this.#team, ops, count, dims, scalars, seconds);
    });
  }

  private enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(job);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** What the event loop may be held up for, ms: waking another thread for a run and this one at its end takes 0.1 to 0.2. */
const BRIEF = 10;

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class NativeExecutable implements Executable {
  readonly program: Program;
  readonly tempBytes: number;
  opSeconds: Float64Array | undefined;
  readonly #backend: NativeBackend;
  readonly #ops: Uint8Array;
  readonly #arena: NativeArena;
  readonly #offsets: ReadonlyMap<BufferDecl, number>;
  readonly #captures: ReadonlySet<string>;
  /** Keeps the bound memory alive as long as this can run. */
  readonly #bound: DeviceArray[] = [];
  /** The sizes of the last run, and whether it was brief. */
  #lastDims = "";
  #brief = false;

  constructor(backend: NativeBackend, program: Program, bindings: Bindings, options: PrepareOptions) {
    this.#backend = backend;
    this.program = program;
    this.#captures = new Set(options.capture);
    const plan = planMemory(program, 4, this.#captures);
    this.#arena = new NativeArena(plan.bytes);
    this.#offsets = plan.offsets;
    this.tempBytes = plan.bytes;
    const addresses = new Map<BufferDecl, bigint>();
    for (const buffer of program.buffers) {
      if (buffer.external) {
        const array = boundArray(program, buffer, bindings, "native", NativeArray);
        this.#bound.push(array);
        addresses.set(buffer, array.address);
      } else {
        addresses.set(buffer, this.#arena.address + BigInt(plan.offsets.get(buffer) ?? 0));
      }
    }
    this.#ops = encodeProgram(program, (buffer) => addresses.get(buffer)!);
  }

  async run(values: RunValues = {}): Promise<void> {
    const { dims, scalars } = resolveRun(this.program, values);
    const sizes = dims.join();
    const start = performance.now();
    const rc = await this.#backend.runOps(
      this.#ops,
      this.program.ops.length,
      BigInt64Array.from(dims, BigInt),
      Float64Array.from(scalars),
      this.opSeconds ?? null,
      this.#brief && sizes === this.#lastDims,
    );
    this.#brief = performance.now() - start < BRIEF;
    this.#lastDims = sizes;
    if (rc !== 0)
      throw new OutOfMemoryError({ op: `running ${this.program.name}`, got: "no memory for a kernel's scratch" });
  }

  timeOps(on: boolean): void {
    this.opSeconds = on ? new Float64Array(this.program.ops.length) : undefined;
  }

  captured(name: string): NativeArray {
    const { buffer, offset } = capturedBuffer(this.program, this.#offsets, this.#captures, name);
    return new NativeArray(buffer.dtype, this.#arena, offset, buffer.size);
  }
}
