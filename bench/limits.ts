/**
 * The machine's own limits, for a figure's share of them: multiply-adds per second by instruction set, and reading
 * memory in order, on one thread and on all. Compiles limits.c with the machine's compiler into a temporary folder and
 * prints one JSON line; `best` is the limit, `median` tells how quiet the machine was.
 *
 *     node dist/bench/limits.js [--threads N]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../src/util/package-root.js";

/** Compiler flags by instruction set, narrowest first; what the processor lacks is left out of the result. */
const INSTRUCTION_SETS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    sse2: ["-march=x86-64"],
    avx2: ["-march=haswell"],
    avx512: ["-march=skylake-avx512", "-mprefer-vector-width=512"],
  },
  arm64: { neon: [] },
};

interface Limit {
  readonly threads: number;
  readonly best: number;
  readonly median: number;
}

function compile(folder: string, name: string, flags: readonly string[]): string {
  const program = join(folder, name);
  const compiler = process.env.CC || "cc";
  const args = ["-std=gnu11", "-O3", ...flags, packageFile("bench/limits.c"), "-o", program, "-lpthread"];
  const { status, error, stderr } = spawnSync(compiler, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${compiler} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return program;
}

/** Undefined where the processor lacks the instruction set (exit status 3). */
function measure(program: string, what: "fma" | "read", threads: number): Limit | undefined {
  const { status, error, stdout, stderr } = spawnSync(program, [what, String(threads)], { encoding: "utf8" });
  if (status === 3) return undefined;
  if (status !== 0) throw new Error(`${program} ${what} ${threads}: ${error?.message ?? stderr}`);
  const sorted = stdout
    .trim()
    .split("\n")
    .map((figure) => Number(figure) / 1e9)
    .sort((a, b) => a - b);
  return { threads, best: sorted.at(-1)!, median: sorted[sorted.length >> 1]! };
}

function main(): void {
  const { values } = parseArgs({ options: { threads: { type: "string", default: String(availableParallelism()) } } });
  const counts = [...new Set([1, Number(values.threads)])];
  const folder = mkdtempSync(join(tmpdir(), "gpt2-limits-"));
  try {
    const gigaflops: Record<string, Limit[]> = {};
    let widest = "";
    for (const [name, flags] of Object.entries(INSTRUCTION_SETS[process.arch] ?? { baseline: [] })) {
      const program = compile(folder, name, flags);
      const limits = counts.map((threads) => measure(program, "fma", threads)).filter((limit) => limit !== undefined);
      if (limits.length === 0) continue;
      gigaflops[name] = limits;
      widest = program;
    }
    const readGigabytesPerSecond = counts.map((threads) => measure(widest, "read", threads));
    const processor = cpus()[0]?.model ?? process.arch;
    console.log(JSON.stringify({ name: "limits", processor, gigaflops, readGigabytesPerSecond }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main();
