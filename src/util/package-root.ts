import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

let root: string | undefined;

/** The folder that holds this package's package.json, found upwards from this file wherever it was compiled to. */
export function packageRoot(): string {
  if (root === undefined) {
    let dir = dirname(fileURLToPath(import.meta.url));
    while (!existsSync(join(dir, "package.json")) && dirname(dir) !== dir) dir = dirname(dir);
    root = dir;
  }
  return root;
}

/** Path of a file that ships in the package: `packageFile("assets/x.bin")`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
}
