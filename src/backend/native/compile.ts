import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageFile } from "../../util/package-root.js";
import { compilerFlags, INSTRUCTION_SETS, kernelsSymbol } from "./instruction-sets.js";

/** Compiles native/*.c into a library, with any C compiler and for any platform. */
const run = promisify(execFile);

export interface Compiler {
  readonly command: string;
  readonly args: readonly string[];
  /** Options after all others, for compiling and linking: for example a sanitizer's. */
  readonly flags?: readonly string[];
  /** The compiler's spelling of a processor flag; by default gcc's and clang's. */
  readonly processorFlag?: (flag: string) => string;
  /** Whether it supports all the instruction sets, and need not be tested. */
  readonly knowsAll?: boolean;
  /** Names of the instruction sets to compile for besides the first; default all. */
  readonly sets?: readonly string[];
}

export interface Target {
  /** A value of `process.platform`. */
  readonly platform: string;
  /** A value of `process.arch`. */
  readonly arch: string;
}

/** The compiler that `CC` names, with arguments if there are any (`ccache gcc`, `gcc -O2`); else `cc`. */
export function localCompiler(): Compiler {
  const [command = "cc", ...args] = (process.env.CC ?? "").split(/\s+/).filter((word) => word !== "");
  return { command, args };
}

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
  "-Wno-tautological-constant-compare",
  "-Wno-unknown-pragmas",
];

/** Libraries that the kernels and the runtime need, by platform; by default POSIX's. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  linux: ["-lpthread", "-lm", "-ldl"],
  win32: [],
};

/**
 * Compiles and links the library.
 *
 * @param work an existing folder for intermediate files.
 * @param output the library's path.
 * @throws the compiler is missing, or fails.
 */
export async function compileKernels(compiler: Compiler, target: Target, work: string, output: string): Promise<void> {
  const [first, ...rest] = INSTRUCTION_SETS[target.arch] ?? [];
  const others = rest.filter(({ name }) => compiler.sets?.includes(name) ?? true);
  if (!first) throw new Error(`no kernels for ${target.arch}`);
  const { command, args, flags: last = [], processorFlag = (flag: string) => flag } = compiler;
  const cc = async (...more: readonly string[]): Promise<void> => {
    const { stderr } = await run(command, [...args, ...more, ...last]);
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
    // With an output path: ccache creates one, even though nothing is written to it.
    run(command, [
      ...args,
      ...flags.map(processorFlag),
      ...["-fsyntax-only", "-x", "c", join(source, "op.h"), "-o", join(work, "probe")],
    ]).then(
      () => true,
      () => false,
    );
  // Instruction sets that the compiler does not support yet are left out.
  const known = await Promise.all(others.map((set) => compiler.knowsAll || knows(compilerFlags(set))));
  const compiled = [first, ...others.filter((_, i) => known[i])];
  const objects = await Promise.all([
    ...compiled.map((set) => {
      const names = [`-DKERNELS=${kernelsSymbol(set)}`, `-DKERNELS_NAME="${set.name}"`];
      return compile("kernels.c", `${set.name}.o`, [...compilerFlags(set), ...names]);
    }),
    compile(
      "runtime.c",
      "runtime.o",
      compiled.map((set) => `-DHAVE_${kernelsSymbol(set)}`),
    ),
  ]);
  await cc("-shared", "-o", output, ...objects, ...(LIBRARIES[target.platform] ?? ["-lpthread", "-lm"]));
}
