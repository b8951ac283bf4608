import { BackendError, UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import type { Capabilities } from "../backend.js";
import { KernelBackend } from "../kernels/backend.js";
import type { Machine } from "../kernels/machine.js";
import { MAX_PAGES, PAGE } from "./heap.js";
import { LocalMachine } from "./local-machine.js";
import type { WorkerLink } from "./messages.js";
import { compileKernels, hasRelaxedSimd, hasSimd, MAX_THREADS } from "./module.js";
import { currentPlatform, type Platform } from "./platform.js";
import { RemoteMachine } from "./remote-machine.js";
import { TeamMachine } from "./team-machine.js";

/**
 * The place where the kernels run: on `workers` that share memory with this thread (in a browser the page must be cross-origin
 * isolated), on one `worker` with memory of its own, or `here`, between two turns of the event loop.
 */
export type WasmPlace = "workers" | "worker" | "here";

export interface WasmOptions {
  /** Default `GPT2_THREADS` in Node, else all processors. Without shared memory there is one. */
  readonly threads?: number;
  /** Whether to use fused multiply-adds, which need an engine with relaxed SIMD; by default where they exist. */
  readonly relaxed?: boolean;
  /** Default: the first of the three that is possible. */
  readonly place?: WasmPlace;
}

/** The longest time between two turns of the event loop when ops run `here`, in seconds. */
const TIME_SLICE = 0.01;

interface WasmMachine extends Machine {
  /** A description for users of where the kernels run. */
  readonly place: string;
}

/**
 * The kernels of the native backend compiled to WebAssembly, in browsers and in Node.
 *
 * @throws {BackendError} there is no WebAssembly SIMD, or an option asks for something unavailable.
 * @throws {UsageError} an impossible number of threads.
 */
export async function wasmBackend(options: WasmOptions = {}): Promise<WasmBackend> {
  checkOptionNames("wasm backend", options, { threads: true, relaxed: true, place: true });
  if (typeof WebAssembly === "undefined" || !hasSimd()) {
    throw new BackendError({ op: "wasm backend", expected: "WebAssembly with SIMD", got: "an engine without SIMD" });
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
  if (option) throw new BackendError({ op: "wasm backend", expected: "relaxed SIMD", got: "an engine without it" });
  return false;
}

async function makeMachine(
  platform: Platform,
  relaxed: boolean,
  threads: number,
  wanted: WasmPlace | undefined,
): Promise<WasmMachine> {
  const makers: Record<WasmPlace, () => Promise<WasmMachine>> = {
    workers: async () => {
      if (!platform.sharesMemory) throw noPlace("shared memory", "a page that is not cross-origin isolated");
      const module = await compileKernels(platform, relaxed, true);
      return TeamMachine.create(module, spawn(platform, threads));
    },
    worker: async () => {
      const module = await compileKernels(platform, relaxed, false);
      return RemoteMachine.create(module, spawn(platform, 1)[0]!);
    },
    here: async () => LocalMachine.create(await compileKernels(platform, relaxed, false), TIME_SLICE),
  };
  if (wanted) return makers[wanted]();
  return makers
    .workers()
    .catch(() => makers.worker())
    .catch(() => makers.here());
}

function spawn(platform: Platform, count: number): WorkerLink[] {
  return Array.from({ length: count }, () => {
    const worker = platform.spawn();
    if (!worker) throw noPlace("workers", "an engine without workers");
    return worker;
  });
}

function noPlace(expected: string, got: string): BackendError {
  return new BackendError({ op: "wasm backend", expected, got });
}

export class WasmBackend extends KernelBackend {
  readonly name = "wasm";
  readonly description: string;
  readonly capabilities: Capabilities;
  /** Whether it uses fused multiply-adds. */
  readonly relaxed: boolean;

  constructor(machine: WasmMachine, relaxed: boolean) {
    super(machine);
    this.relaxed = relaxed;
    this.description = `wasm (${relaxed ? "relaxed SIMD" : "SIMD"}, ${machine.place})`;
    this.capabilities = {
      threads: machine.threads,
      maxArrayBytes: MAX_PAGES * PAGE,
      lazyMemory: false,
      mappedFiles: false,
      inPlaceTypes: [],
      peak: true,
      fastBf16: false,
      bf16OverIntegers: false,
    };
  }
}
