/**
 * Compiles the kernels to WebAssembly: assets/gpt2.wasm and, with relaxed SIMD, assets/gpt2-relaxed.wasm, which are kept
 * in the repository. It needs exactly the versions of clang and lld below (Debian: apt-get install clang-19 lld-19), so that every
 * build gives the same bytes.
 *
 *     node dist/scripts/build-wasm.js            writes them
 *     node dist/scripts/build-wasm.js --check    checks that those in the repository match the sources
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageFile } from "../src/util/package-root.js";

export const CLANG_VERSION = "19.1.7";
const CLANG = process.env.WASM_CLANG || "clang-19";
const LINKER = process.env.WASM_LD || "wasm-ld-19";

/** The modules by their file name in assets: the kernels' name, and their additional flags. */
export const WASM_MODULES: Readonly<Record<string, { readonly name: string; readonly flags: readonly string[] }>> = {
  "gpt2.wasm": { name: "simd128", flags: [] },
  "gpt2-relaxed.wasm": { name: "relaxed", flags: ["-mrelaxed-simd"] },
};

const COMPILER_FLAGS = [
  "--target=wasm32",
  "-std=gnu11",
  "-O3",
  "-msimd128",
  "-matomics",
  "-mbulk-memory",
  "-mmutable-globals",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-DKERNELS=kernels",
];

/** Initially 16 pages, as in src/backend/wasm/module.ts; the stack comes first, so that overflowing it traps. */
const LINKER_FLAGS = [
  "--no-entry",
  "--import-memory",
  "--shared-memory",
  "--initial-memory=1048576",
  "--max-memory=4294967296",
  "--stack-first",
  "-zstack-size=65536",
  "--export=__stack_pointer",
  "--gc-sections",
  "--strip-all",
];

function run(command: string, args: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  if (stderr) process.stderr.write(stderr);
  return stdout;
}

/** The reason why the modules can't be built here; undefined if they can. */
export function missingCompiler(): string | undefined {
  for (const [command, tool] of [
    [CLANG, "clang"],
    [LINKER, "LLD"],
  ] as const) {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (status !== 0) return `no ${command}`;
    const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0];
    if (version !== CLANG_VERSION) return `${tool} is ${version}, not ${CLANG_VERSION}`;
  }
  return undefined;
}

/** The bytes of a module of {@link WASM_MODULES}, compiled from native/. */
export function buildWasm(file: string): Buffer {
  const { name, flags } = WASM_MODULES[file]!;
  const source = packageFile("native");
  const work = mkdtempSync(join(tmpdir(), "gpt2-wasm-"));
  try {
    const objects = ["kernels.c", "wasm.c"].map((unit) => {
      const object = join(work, `${unit}.o`);
      const all = [...COMPILER_FLAGS, ...flags, `-DKERNELS_NAME="${name}"`, `-I${join(source, "wasm")}`];
      run(CLANG, [...all, "-c", join(source, unit), "-o", object]);
      return object;
    });
    const module = join(work, file);
    run(LINKER, [...LINKER_FLAGS, ...objects, "-o", module]);
    return readFileSync(module);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function main(): void {
  const missing = missingCompiler();
  if (missing) throw new Error(`can't compile to WebAssembly: ${missing}`);
  for (const file of Object.keys(WASM_MODULES)) {
    const path = packageFile(join("assets", file));
    const built = buildWasm(file);
    if (process.argv.includes("--check")) {
      if (!built.equals(readFileSync(path))) throw new Error(`${path} is not what native/ gives: run build-wasm`);
    } else {
      writeFileSync(path, built);
    }
    console.log(`${file}: ${built.length} bytes`);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
