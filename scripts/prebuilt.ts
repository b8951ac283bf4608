import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Compiler, compileKernels, type Target } from "../src/backend/native/compile.js";
import { libraryName } from "../src/backend/native/library-path.js";
import { packageFile } from "../src/util/package-root.js";
import { describeLibrary, type LibraryFacts } from "./library-facts.js";
import { makePublishedPackage } from "./published-package.js";

/**
 * Compiles the kernels for every platform, as packages in npm/ that are optional dependencies of gpt2-ts, for users
 * without a compiler. Cross-compiles with zig: `pip install ziglang`, or the command in ZIG.
 *
 *     npm run prebuilt                         all platforms
 *     npm run prebuilt -- linux-x64 win32-x64  some of them
 *     npm run prebuilt -- --publish            gpt2-ts itself as it is published, which depends on them: npm/gpt2-ts
 */

export interface PrebuildTarget extends Target {
  /** NAME in the package's name `@gpt2-ts/kernels-NAME`. */
  readonly name: string;
  /** Zig's name for the platform, with the oldest C library that suffices. */
  readonly zig: string;
  readonly libc?: "glibc" | "musl";
  /** The file format and processor that the library must have. */
  readonly format: LibraryFacts["format"];
  readonly machine: LibraryFacts["machine"];
  /** The newest minor version of glibc 2 that it may need. */
  readonly maxGlibc: number;
}

const ARCHES = { x64: "x86_64", arm64: "aarch64" } as const;

/** glibc 2.17 is from 2012; Node 20 itself needs 2.28. */
const GLIBC = 17;

const forArch = (arch: "x64" | "arm64"): PrebuildTarget[] => {
  const [cpu, common] = [ARCHES[arch], { arch, machine: arch, maxGlibc: GLIBC }];
  const linux = { ...common, platform: "linux", format: "ELF" } as const;
  return [
    { ...linux, name: `linux-${arch}`, zig: `${cpu}-linux-gnu.2.${GLIBC}`, libc: "glibc" },
    { ...linux, name: `linux-${arch}-musl`, zig: `${cpu}-linux-musl`, libc: "musl" },
    { ...common, platform: "darwin", format: "Mach-O", name: `darwin-${arch}`, zig: `${cpu}-macos` },
    { ...common, platform: "win32", format: "PE", name: `win32-${arch}`, zig: `${cpu}-windows-gnu` },
  ];
};

export const TARGETS: readonly PrebuildTarget[] = [...forArch("x64"), ...forArch("arm64")];

/** The functions that src/backend/native/library.ts calls. */
const FUNCTIONS = ["version", "has_isa", "best_isa", "alloc", "map", "team", "release", "discard", "memory", "forget"]
  .concat("run", "peak_flops", "convert")
  .map((name) => `gpt2_${name}`);

/** Zig as a C compiler for a target. @throws zig is not installed. */
export function zigCompiler({ zig }: Pick<PrebuildTarget, "zig">): Compiler {
  const candidates = [process.env.ZIG?.split(/\s+/), ["zig"], ["python3", "-m", "ziglang"]];
  for (const candidate of candidates) {
    const [command, ...args] = candidate ?? [];
    if (command === undefined || command === "") continue;
    try {
      execFileSync(command, [...args, "version"], { stdio: "ignore" });
    } catch {
      continue;
    }
    // Without debugging information or UBSan, which zig's compiler adds to C by default.
    const more = ["cc", "-target", zig, "-g0", "-fno-sanitize=undefined"];
    return { command, args: [...args, ...more], processorFlag: zigFlag, knowsAll: true };
  }
  throw new Error("no zig: pip install ziglang, or name the command in ZIG");
}

/** Zig writes processors' names with underscores, and takes an architecture's features as part of a processor. */
function zigFlag(flag: string): string {
  const [, features] = /^-march=armv8-a(\+.*)$/.exec(flag) ?? [];
  if (features !== undefined) return `-mcpu=generic${features}`;
  return /^-m(arch|tune)=/.test(flag) ? flag.replace(/(?<=\w)-/g, "_") : flag;
}

export const packageName = ({ name }: Pick<PrebuildTarget, "name">): string => `@gpt2-ts/kernels-${name}`;

/** Makes the package of a target and returns its folder. @throws the compiler fails, or a check of the library does. */
export async function makePackage(target: PrebuildTarget, compiler: Compiler, root: string): Promise<string> {
  const { version, license } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as Record<string, string>;
  const library = libraryName(target.platform);
  const folder = join(root, `kernels-${target.name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "gpt2-prebuilt-"));
  try {
    // The linker for Windows puts an import library and debugging information beside its output.
    await compileKernels(compiler, target, work, join(work, library));
    copyFileSync(join(work, library), join(folder, library));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  checkLibrary(join(folder, library), target);
  const { platform, arch, libc } = target;
  const manifest = {
    name: packageName(target),
    version,
    description: `gpt2-ts's kernels compiled for ${target.name}`,
    license,
    os: [platform],
    cpu: [arch],
    ...(libc && { libc: [libc] }),
    files: [library],
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(folder, "README.md"), `The kernels of gpt2-ts ${version}, compiled for ${target.name}.\n`);
  return folder;
}

/** @throws the file is for another platform, lacks a function, or needs a newer C library than it should. */
export function checkLibrary(path: string, target: PrebuildTarget): LibraryFacts {
  const facts = describeLibrary(readFileSync(path));
  const missing = FUNCTIONS.filter((name) => !facts.exports.includes(name));
  const extra = facts.exports.filter((name) => name.startsWith("gpt2_") && !FUNCTIONS.includes(name));
  const wrong = [
    ...(facts.format === target.format ? [] : [`a ${facts.format} file, not ${target.format}`]),
    ...(facts.machine === target.machine ? [] : [`for ${facts.machine}, not ${target.machine}`]),
    ...missing.map((name) => `without ${name}`),
    ...extra.map((name) => `with ${name}, which nothing calls`),
    ...(newest(facts.glibc) > target.maxGlibc ? [`needs glibc ${facts.glibc.join(", ")}`] : []),
  ];
  if (wrong.length > 0) throw new Error(`${path} is ${wrong.join("; ")}`);
  return facts;
}

/** The newest minor version of glibc 2 among symbol versions. */
const newest = (versions: readonly string[]): number => Math.max(0, ...versions.map((v) => Number(v.split(".")[1])));

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--publish")) {
    console.log(makePublishedPackage(TARGETS.map(packageName), packageFile("npm")));
    return;
  }
  const unknown = args.find((arg) => !TARGETS.some(({ name }) => name === arg));
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${TARGETS.map(({ name }) => name).join(", ")}`);
  for (const target of TARGETS) {
    if (args.length > 0 && !args.includes(target.name)) continue;
    const folder = await makePackage(target, zigCompiler(target), packageFile("npm"));
    const { format, machine, needed, glibc } = checkLibrary(join(folder, libraryName(target.platform)), target);
    const version = glibc.length > 0 ? `, glibc 2.${newest(glibc)}` : "";
    console.log(`${folder}: ${format} for ${machine}${version}, needs ${needed.join(", ") || "nothing"}`);
  }
}

if (process.argv[1]?.endsWith("prebuilt.js")) await main(process.argv.slice(2));
