/**
 * WebAssembly's limits on this machine, each thread a worker with memory of its own. Needs the clang of
 * scripts/build-wasm.ts.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { platform } from "../src/backend/wasm/platform-node.js";
import { packageFile } from "../src/util/package-root.js";

export type WasmLimit = "fma" | "read";

interface Kernels {
  fma(rounds: number, factor: number, term: number, sink: number): number;
  read(data: number, floats: number, sink: number): number;
}

/** Larger than any cache. */
const READ_BYTES = 2 ** 28;
const DATA_AT = 2 ** 20;
/** The shortest duration of a measurement, in seconds, so that the threads' measurements overlap. */
const DURATION = 0.25;

function compileModule(relaxed: boolean): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-wasm-limits-"));
  try {
    const out = join(folder, "limits.wasm");
    const flags = ["--target=wasm32", "-O3", "-msimd128", ...(relaxed ? ["-mrelaxed-simd"] : []), "-nostdlib"];
    const linker = ["-fuse-ld=lld", "-Wl,--no-entry,--import-memory,--max-memory=4294967296"];
    execFileSync(process.env.WASM_CLANG || "clang-19", [
      ...flags,
      ...linker,
      packageFile("bench/wasm-limits.c"),
      "-o",
      out,
    ]);
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Threads that measure together on request. */
export class WasmLimits {
  readonly #workers: readonly Worker[];

  /** The limits, or an error where the compiler is missing. */
  static tryMake(threads: number, relaxed: boolean): WasmLimits | Error {
    try {
      return new WasmLimits(threads, relaxed);
    } catch (error) {
      return error as Error;
    }
  }

  constructor(threads: number, relaxed: boolean) {
    if (relaxed) platform.enableRelaxedSimd();
    const module = compileModule(relaxed);
    this.#workers = Array.from(
      { length: threads },
      () => new Worker(fileURLToPath(import.meta.url), { workerData: module }),
    );
  }

  /** Floating-point operations, or bytes, per second of all threads. */
  async measure(what: WasmLimit): Promise<number> {
    const rates = this.#workers.map(
      (worker) =>
        new Promise<number>((resolve, reject) => {
          worker.once("message", resolve).once("error", reject);
          worker.postMessage(what);
        }),
    );
    const total = (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
    for (const worker of this.#workers) worker.removeAllListeners("error");
    return total;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

async function serve(): Promise<void> {
  const memory = new WebAssembly.Memory({ initial: (DATA_AT + READ_BYTES) / 65536, maximum: 65536 });
  new Float32Array(memory.buffer, DATA_AT).fill(1);
  const { instance } = await WebAssembly.instantiate(workerData as Uint8Array<ArrayBuffer>, { env: { memory } });
  const { fma, read } = instance.exports as unknown as Kernels;
  const run: Record<WasmLimit, () => number> = {
    fma: () => fma(500_000, 0.99, 0.01, 0),
    read: () => read(DATA_AT, READ_BYTES / 4, 0),
  };
  // The first calls run the code of the engine's baseline compiler.
  for (let i = 0; i < 5; i++) run.fma();
  for (let i = 0; i < 3; i++) run.read();
  parentPort!.on("message", (what: WasmLimit) => {
    const start = performance.now();
    let work = 0;
    while (performance.now() - start < 1000 * DURATION) work += run[what]();
    parentPort!.postMessage((1000 * work) / (performance.now() - start));
  });
}

if (!isMainThread && parentPort) await serve();
