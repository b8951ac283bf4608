import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { packageFile, resolveDependency } from "../../util/package-root.js";

const LIBRARY_NAMES: Readonly<Record<string, string>> = { darwin: "libgpt2.dylib", win32: "gpt2.dll" };

/** The library's file name on a platform, as in `process.platform`. */
export const libraryName = (platform: string): string => LIBRARY_NAMES[platform] ?? "libgpt2.so";

export const LIBRARY_NAME = libraryName(process.platform);

/** The path to which build.ts writes the kernels that it compiles. */
export function localLibrary(): string {
  return packageFile(join("native", "build", LIBRARY_NAME));
}

/** The packages with kernels for this platform (scripts/prebuilt.ts); on Linux one for each C library. */
const PACKAGE = `@gpt2-ts/kernels-${process.platform}-${process.arch}`;
const PACKAGES = process.platform === "linux" ? [PACKAGE, `${PACKAGE}-musl`] : [PACKAGE];

/** The libraries of installed platform packages. */
export function packagedLibraries(): string[] {
  return PACKAGES.flatMap((name) => {
    try {
      return [resolveDependency(`${name}/${LIBRARY_NAME}`)];
    } catch {
      return [];
    }
  });
}

/**
 * All libraries found, in the order in which to try them: the newest first, so that one compiled here wins unless it is old. If
 * `GPT2_LIBRARY` names one, such as one with a sanitizer, only that.
 */
export function libraryPaths(): string[] {
  if (process.env.GPT2_LIBRARY) return [process.env.GPT2_LIBRARY];
  const local = localLibrary();
  const paths = [...(existsSync(local) ? [local] : []), ...packagedLibraries()];
  const ages = new Map(paths.map((path) => [path, statSync(path).mtimeMs]));
  return paths.sort((a, b) => ages.get(b)! - ages.get(a)!);
}
