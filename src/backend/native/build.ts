import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { compileKernels, localCompiler } from "./compile.js";
import { LIBRARY_NAME, localLibrary, packagedLibraries } from "./library-path.js";

/**
 * Builds the kernels with the machine's own compiler and returns the library's path.
 *
 * @throws there is no compiler, or it fails.
 */
export async function buildNative(): Promise<string> {
  const output = localLibrary();
  const work = join(dirname(output), `work-${process.pid}`);
  await mkdir(work, { recursive: true });
  try {
    const library = join(work, LIBRARY_NAME);
    await compileKernels(localCompiler(), process, work, library);
    await rename(library, output);
    return output;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Builds at install and reports the result in one line; never fails, because nothing depends on it. */
export async function installNative(): Promise<void> {
  try {
    console.log(`gpt2-ts: built ${await buildNative()}`);
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n").slice(0, 3).join(" ") : String(error);
    const [packaged] = packagedLibraries();
    const result = packaged
      ? `no kernels compiled for this machine (${why}); using those of ${packaged}`
      : `no native kernels (${why}). Everything works without them, slower; \`npm rebuild gpt2-ts\` tries again`;
    console.log(`gpt2-ts: ${result}.`);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await installNative();
