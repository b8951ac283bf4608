import { byteLength, type DType } from "../../dtype/dtype.js";
import { BackendError, ShapeError, UsageError } from "../../errors.js";
import type { Program } from "../../program/program.js";
import type { Backend, Bindings, Executable, PrepareOptions } from "../backend.js";
import { WasmArray } from "./array.js";
import { WasmExecutable } from "./executable.js";
import { hasRelaxedSimd, hasSimd } from "./features.js";
import { MAX_THREADS } from "./instance.js";
import { LocalMachine } from "./local-machine.js";
import type { Machine } from "./machine.js";
import { compileKernels } from "./module.js";
import { currentPlatform, type Platform } from "./platform.js";
import { RemoteMachine } from "./remote-machine.js";
import { TeamMachine } from "./team-machine.js";

/**
 * Where the kernels run: on `workers` that share memory with this thread (in a browser the page must be cross-origin
 * isolated), on one `worker` with memory of its own, or `here`, between two turns of the event loop.
 */
export type WasmPlace = "workers" | "worker" | "here";

export interface WasmOptions {
  /** By default `GPT2_THREADS` in Node, else all processors. Without shared memory there is one. */
  readonly threads?: number;
  /** Multiply-adds that round once, which needs an engine with relaxed SIMD; by default where there is one. */
  readonly relaxed?: boolean;
  /** By default the first of the three that is possible. */
  readonly place?: WasmPlace;
}

/** The longest that the event loop waits between two ops that run `here`, in seconds. */
const TURN = 0.01;

/**
 * The kernels of the native backend compiled to WebAssembly, in browsers and in Node.
 *
 * @throws {BackendError} no WebAssembly SIMD, or what the options ask for is not to be had.
 * @throws {UsageError} a number of threads that can't be.
 */
export async function wasmBackend(options: WasmOptions = {}): Promise<WasmBackend> {
  if (typeof WebAssembly === "undefined" || !hasSimd()) {
    throw new BackendError({ op: "wasm backend", expected: "WebAssembly with SIMD", got: "an engine without" });
  }
  const platform = await currentPlatform();
  const threads = threadCount(options.threads, platform);
  const relaxed = useRelaxed(options.relaxed, platform);
  return new WasmBackend(await makeMachine(platform, relaxed, threads, options.place), relaxed);
}

function threadCount(option: number | undefined, platform: Platform): number {
  const env = globalThis.process?.env?.GPT2_THREADS;
  const threads = option ?? (env ? Number(env) : Math.min(platform.threads(), MAX_THREADS));
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS) return threads;
  throw new UsageError({
    op: option === undefined ? "GPT2_THREADS" : "threads",
    expected: `an integer from 1 to ${MAX_THREADS}`,
    got: String(option ?? env),
  });
}

function useRelaxed(option: boolean | undefined, platform: Platform): boolean {
  if (option === false) return false;
  if (!hasRelaxedSimd()) platform.enableRelaxedSimd();
  if (hasRelaxedSimd()) return true;
  if (option) throw new BackendError({ op: "wasm backend", expected: "relaxed SIMD", got: "an engine without" });
  return false;
}

async function makeMachine(
  platform: Platform,
  relaxed: boolean,
  threads: number,
  wanted: WasmPlace | undefined,
): Promise<Machine> {
  const makers: Record<WasmPlace, () => Promise<Machine>> = {
    workers: async () => {
      if (!platform.sharesMemory) throw noPlace("shared memory", "a page that is not cross-origin isolated");
      const module = await compileKernels(platform, relaxed, true);
      return TeamMachine.create(module, spawn(platform, threads));
    },
    worker: async () => {
      const module = await compileKernels(platform, relaxed, false);
      return RemoteMachine.create(module, spawn(platform, 1)[0]!);
    },
    here: async () => LocalMachine.create(await compileKernels(platform, relaxed, false), TURN),
  };
  if (wanted) return makers[wanted]();
  return makers
    .workers()
    .catch(() => makers.worker())
    .catch(() => makers.here());
}

function spawn(platform: Platform, count: number) {
  return Array.from({ length: count }, () => {
    const worker = platform.spawn();
    if (!worker) throw noPlace("workers", "an engine without");
    return worker;
  });
}

function noPlace(expected: string, got: string): BackendError {
  return new BackendError({ op: "wasm backend", expected, got });
}

export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly threads: number;
  readonly #machine: Machine;

  constructor(
    machine: Machine,
    /** Whether it multiplies and adds with one rounding. */
    readonly relaxed: boolean,
  ) {
    this.#machine = machine;
    this.threads = machine.threads;
  }

  get description(): string {
    return `wasm (${this.relaxed ? "relaxed SIMD" : "SIMD"}, ${this.#machine.place})`;
  }

  alloc(dtype: DType, length: number): WasmArray {
    if (!Number.isInteger(length) || length < 0) {
      throw new ShapeError({ op: "wasm memory", expected: "a length in whole elements", got: String(length) });
    }
    return new WasmArray(dtype, this.#machine.alloc(byteLength(dtype, length)), 0, length);
  }

  prepare(program: Program, bindings: Bindings, options: PrepareOptions = {}): Executable {
    return new WasmExecutable(this.#machine, program, bindings, options);
  }

  /** Multiply-add peak of all threads, FLOP/s: what a kernel could reach at best. Takes a fraction of a second. */
  peakFlops(): Promise<number> {
    return this.#machine.peakFlops();
  }
}
