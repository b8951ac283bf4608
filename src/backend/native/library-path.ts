import { join } from "node:path";
import { packageFile } from "../../util/package-root.js";

export const LIBRARY_NAME = { darwin: "libgpt2.dylib", win32: "gpt2.dll" }[process.platform as string] ?? "libgpt2.so";

/** Where build.ts puts the kernels. */
export function libraryPath(): string {
  return packageFile(join("native", "build", LIBRARY_NAME));
}
