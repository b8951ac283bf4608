import { execFile } from "node:child_process";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { packageFile } from "../../util/package-root.js";
import { LIBRARY_NAME, libraryPath } from "./library-path.js";

/** Compiles native/*.c with the machine's own compiler; run at install. Its failure leaves the other backends. */
const run = promisify(execFile);

/**
 * The kernels are compiled once for each of these; the first is the one that any such processor has. Those that this
 * compiler does not know yet are left out.
 */
const INSTRUCTION_SETS: Record<string, Record<string, string[]>> = {
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
  "-fPIC",
  "-ffp-contract=fast",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-Wno-psabi",
  "-Wno-unknown-pragmas",
];

/**
 * Builds the library and returns its path.
 *
 * @throws when there is no compiler (`CC`, else `cc`) or it fails.
 */
export async function buildNative(): Promise<string> {
  const sets = INSTRUCTION_SETS[process.arch];
  if (!sets) throw new Error(`no kernels for ${process.arch}`);
  const cc = process.env.CC ?? "cc";
  const source = packageFile("native");
  const work = join(source, "build", `work-${process.pid}`);
  await mkdir(work, { recursive: true });
  try {
    const compile = async (file: string, object: string, flags: string[]): Promise<string> => {
      const out = join(work, object);
      const { stderr } = await run(cc, [...COMMON_FLAGS, ...flags, "-c", join(source, file), "-o", out]);
      if (stderr) process.stderr.write(stderr);
      return out;
    };
    const knows = (flags: string[]) =>
      run(cc, [...flags, "-fsyntax-only", "-x", "c", join(source, "op.h")]).then(
        () => true,
        () => false,
      );
    const known = await Promise.all(Object.values(sets).map((flags, i) => i === 0 || knows(flags)));
    const compiled = Object.entries(sets).filter((_, i) => known[i]);
    const [baseline] = Object.keys(sets);
    const symbolOf = (name: string) => (name === baseline ? "kernels_baseline" : `kernels_${name.replace("-", "_")}`);
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
    const library = join(work, LIBRARY_NAME);
    await run(cc, [
      "-shared",
      "-o",
      library,
      ...objects,
      "-lpthread",
      "-lm",
      ...(process.platform === "linux" ? ["-ldl"] : []),
    ]);
    await rename(library, libraryPath());
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return libraryPath();
}

/** Builds at install, and says in one line how that went; never fails, because nothing depends on it. */
export async function installNative(): Promise<void> {
  try {
    console.log(`gpt2-ts: built ${await buildNative()}`);
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n").slice(0, 3).join(" ") : String(error);
    console.log(
      `gpt2-ts: no native kernels (${why}). Everything works without them, slower; \`npm rebuild gpt2-ts\` tries again.`,
    );
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await installNative();
