import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageFile } from "../../util/package-root.js";

/** Compiles native/*.c into a library, with any C compiler and for any platform. */
const run = promisify(execFile);

export interface Compiler {
  readonly command: string;
  readonly args: readonly string[];
  /** The compiler's spelling of a processor flag; by default that of gcc and clang. */
  readonly processorFlag?: (flag: string) => string;
}

export interface Target {
  /** As in `process.platform`. */
  readonly platform: string;
  /** As in `process.arch`. */
  readonly arch: string;
}

/** The compiler that `CC` names, with arguments if there are any (`ccache gcc`, `gcc -O2`); else `cc`. */
export function localCompiler(): Compiler {
  const [command = "cc", ...args] = (process.env.CC ?? "").split(/\s+/).filter((word) => word !== "");
  return { command, args };
}

/**
 * The kernels are compiled once for each of these; the first is the one that any such processor has. Those that a
 * compiler does not know yet are left out.
 */
const INSTRUCTION_SETS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    baseline: ["-march=x86-64"],
    avx2: ["-march=haswell"],
    "avx-vnni": ["-march=haswell", "-mavxvnni"],
    avx512: ["-march=skylake-avx512", "-mprefer-vector-width=512"],
    "avx512-vnni": ["-march=cascadelake", "-mprefer-vector-width=512"],
  },
  arm64: { neon: [], "neon-dotprod": ["-march=armv8.2-a+dotprod"] },
};

const COMMON_FLAGS = [
  "-std=gnu11",
  "-O3",
  "-ffp-contract=fast",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-Wno-psabi",
  "-Wno-unknown-pragmas",
];

/** Libraries that the kernels and the runtime need, by platform; elsewhere those of POSIX. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  linux: ["-lpthread", "-lm", "-ldl"],
  win32: [],
};

/**
 * Compiles and links the library.
 *
 * @param work an existing folder for what is made on the way.
 * @param output the library's path.
 * @throws the compiler is not there, or fails.
 */
export async function compileKernels(compiler: Compiler, target: Target, work: string, output: string): Promise<void> {
  const sets = INSTRUCTION_SETS[target.arch];
  if (!sets) throw new Error(`no kernels for ${target.arch}`);
  const { command, args, processorFlag = (flag: string) => flag } = compiler;
  const cc = async (...more: readonly string[]): Promise<void> => {
    const { stderr } = await run(command, [...args, ...more]);
    if (stderr) process.stderr.write(stderr);
  };
  const source = packageFile("native");
  const position = target.platform === "win32" ? [] : ["-fPIC"];
  const compile = async (file: string, object: string, flags: readonly string[]): Promise<string> => {
    const out = join(work, object);
    await cc(...COMMON_FLAGS, ...position, ...flags.map(processorFlag), "-c", join(source, file), "-o", out);
    return out;
  };
  const knows = (flags: readonly string[]): Promise<boolean> =>
    run(command, [...args, ...flags.map(processorFlag), "-fsyntax-only", "-x", "c", join(source, "op.h")]).then(
      () => true,
      () => false,
    );
  const [first, ...others] = Object.entries(sets) as [string, readonly string[]][];
  const known = await Promise.all(others.map(([, flags]) => knows(flags)));
  const compiled = [first!, ...others.filter((_, i) => known[i])];
  const symbolOf = (name: string) => (name === first![0] ? "kernels_baseline" : `kernels_${name.replace("-", "_")}`);
  const objects = await Promise.all([
    ...compiled.map(([name, flags]) =>
      compile("kernels.c", `${name}.o`, [...flags, `-DKERNELS=${symbolOf(name)}`, `-DKERNELS_NAME="${name}"`]),
    ),
    compile(
      "runtime.c",
      "runtime.o",
      compiled.map(([name]) => `-DHAVE_${symbolOf(name)}`),
    ),
  ]);
  await cc("-shared", "-o", output, ...objects, ...(LIBRARIES[target.platform] ?? ["-lpthread", "-lm"]));
}
