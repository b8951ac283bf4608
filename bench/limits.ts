/**
 * The machine's own limits: multiply-adds per second by instruction set, and the speed of reading memory in order.
 * Figures are given as shares of them, and they show when something else disturbs a run. Compiles limits.c with the
 * machine's compiler.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageFile } from "../src/util/package-root.js";
import { type Spread, spread } from "./statistics.js";
import { WasmLimits } from "./wasm-limits.js";

/** Operations per second of multiply-adds of floats, of bf16 summed in floats, of bytes summed in 32 bits; or bytes per second. */
type NativeLimit = "fma" | "bf16" | "dot8" | "read";
/** `wasm-`: limits within WebAssembly. */
export type LimitKind = NativeLimit | "wasm-fma" | "wasm-read";

/** Compiler flags by instruction set, narrowest first; sets that the processor lacks are left out. */
const INSTRUCTION_SETS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    sse2: ["-march=x86-64"],
    avx2: ["-march=haswell"],
    "avx2-vnni": ["-march=haswell", "-mavxvnni"],
    avx512: ["-march=skylake-avx512", "-mprefer-vector-width=512"],
    "avx512-vnni": ["-march=cascadelake", "-mprefer-vector-width=512"],
    "avx512-bf16": ["-march=cascadelake", "-mavx512bf16", "-mprefer-vector-width=512"],
    "amx-bf16": ["-march=cascadelake", "-mavx512bf16", "-mamx-tile", "-mamx-bf16", "-mprefer-vector-width=512"],
  },
  arm64: { neon: [] },
};

/** Flags that an instruction set adds to the one before. */
const probeOf = (name: string): NativeLimit =>
  name.endsWith("vnni") ? "dot8" : name.endsWith("bf16") ? "bf16" : "fma";

/** Exit status of a program that finds its instructions missing. */
const UNSUPPORTED = 3;

export interface LimitRow {
  readonly what: string;
  readonly kind: LimitKind;
  readonly threads: number;
  readonly perSecond: Spread;
}

const run = promisify(execFile);

const isWasm = (kind: LimitKind): kind is "wasm-fma" | "wasm-read" => kind.startsWith("wasm-");

export class MachineLimits {
  readonly threads: number;
  /** Program by instruction set, narrowest first. */
  readonly #programs: ReadonlyMap<string, string>;
  readonly #samples = new Map<LimitKind, number[]>();
  /** The programs, made when first needed, or the reason why they can't be made. */
  #wasm: WasmLimits | Error | undefined;

  private constructor(threads: number, programs: ReadonlyMap<string, string>) {
    this.threads = threads;
    this.#programs = programs;
  }

  /** @throws {Error} there is no C compiler (`CC`, else `cc`), or it fails. */
  static async compile(threads: number): Promise<MachineLimits> {
    const folder = mkdtempSync(join(tmpdir(), "gpt2-limits-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const programs = new Map<string, string>();
    for (const [name, flags] of Object.entries(INSTRUCTION_SETS[process.arch] ?? { baseline: [] })) {
      const program = join(folder, name);
      try {
        await compileProgram(flags, program);
      } catch (error) {
        if (programs.size === 0) throw error;
        continue; // the compiler does not know these instructions
      }
      if (await measure(program, probeOf(name), 1, 1)) programs.set(name, program);
    }
    return new MachineLimits(threads, programs);
  }

  get instructionSets(): string[] {
    return [...this.#programs.keys()];
  }

  get #widest(): string {
    return [...this.#programs.values()].at(-1)!;
  }

  /** The reason why a limit can't be measured here; undefined if it can. */
  async missing(kind: LimitKind): Promise<string | undefined> {
    if (!isWasm(kind))
      return (await measure(this.#widest, kind, 1, 1)) ? undefined : "the processor has no such operation";
    const limits = this.#wasmLimits();
    return limits instanceof Error ? limits.message.split("\n")[0] : undefined;
  }

  /** The machine's speed right now, with its best instruction set on all threads: the best of a few short runs. */
  async sample(kind: LimitKind): Promise<number> {
    const now = spread(await this.#runs(kind)).max;
    this.#samples.set(kind, [...(this.#samples.get(kind) ?? []), now]);
    return now;
  }

  async #runs(kind: LimitKind): Promise<number[]> {
    if (!isWasm(kind)) return (await measure(this.#widest, kind, this.threads, 3))!;
    const limits = this.#wasmLimits();
    if (limits instanceof Error) throw limits;
    const runs: number[] = [];
    for (let i = 0; i < 2; i++) runs.push(await limits.measure(kind === "wasm-fma" ? "fma" : "read"));
    return runs;
  }

  #wasmLimits(): WasmLimits | Error {
    this.#wasm ??= WasmLimits.tryMake(this.threads, true);
    return this.#wasm;
  }

  /** Ends its threads. */
  async close(): Promise<void> {
    if (this.#wasm instanceof WasmLimits) await this.#wasm.close();
    this.#wasm = undefined;
  }

  /** The best sample so far, without the top tenth: a virtual machine has moments of speed that it can't sustain. */
  best(kind: LimitKind): number {
    const sorted = (this.#samples.get(kind) ?? []).toSorted((a, b) => a - b);
    return sorted[Math.ceil(0.9 * (sorted.length - 1))] ?? 0;
  }

  /** Speed of all threads divided by that of one: close to their number if each has its own processor. */
  async scaling(): Promise<number> {
    const one = await measure(this.#widest, "fma", 1, 3);
    return (await this.sample("fma")) / spread(one!).max;
  }

  /** Every limit, on one thread and on all. */
  async table(): Promise<LimitRow[]> {
    const rows: LimitRow[] = [];
    const counts = [...new Set([1, this.threads])];
    const add = async (what: string, program: string, kind: NativeLimit) => {
      for (const threads of counts) {
        const runs = await measure(program, kind, threads, 7);
        if (runs) rows.push({ what, kind, threads, perSecond: spread(runs) });
      }
    };
    for (const [isa, program] of this.#programs) {
      // Extensions for other products do not change the rate of floats, which is known already.
      if (probeOf(isa) === "fma") await add(`multiply-adds, f32, ${isa}`, program, "fma");
    }
    for (const [isa, program] of this.#programs) {
      if (probeOf(isa) === "bf16") await add(`multiply-adds, bf16, ${isa}`, program, "bf16");
      else await add(`multiply-adds, 8-bit, ${isa}`, program, "dot8");
    }
    await add("reading memory in order", this.#widest, "read");
    for (const threads of counts) rows.push(...(await wasmRows(threads)));
    return rows.toSorted((a, b) => Number(isWasm(a.kind)) - Number(isWasm(b.kind)));
  }
}

async function wasmRows(threads: number): Promise<LimitRow[]> {
  const rows: LimitRow[] = [];
  for (const relaxed of [false, true]) {
    const limits = WasmLimits.tryMake(threads, relaxed);
    if (limits instanceof Error) continue;
    const add = async (what: string, kind: "fma" | "read") => {
      const runs: number[] = [];
      for (let i = 0; i < 7; i++) runs.push(await limits.measure(kind));
      rows.push({ what: `WebAssembly: ${what}`, kind: `wasm-${kind}`, threads, perSecond: spread(runs) });
    };
    await add(`multiply-adds, f32, ${relaxed ? "relaxed " : ""}128-bit`, "fma");
    if (relaxed) await add("reading memory in order", "read");
    await limits.close();
  }
  return rows;
}

async function compileProgram(flags: readonly string[], out: string): Promise<void> {
  const source = packageFile("bench/limits.c");
  await run(process.env.CC || "cc", ["-std=gnu11", "-O3", ...flags, source, "-o", out, "-lpthread"]);
}

/** The figures of `runs` runs, or undefined if the processor lacks the program's instructions. */
async function measure(
  program: string,
  kind: NativeLimit,
  threads: number,
  runs: number,
): Promise<number[] | undefined> {
  try {
    const { stdout } = await run(program, [kind, String(threads), String(runs)]);
    return stdout.trim().split("\n").map(Number);
  } catch (error) {
    if ((error as { code?: unknown }).code === UNSUPPORTED) return undefined;
    throw error;
  }
}
