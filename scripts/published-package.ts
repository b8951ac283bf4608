import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "../src/util/package-root.js";

type Manifest = Record<string, unknown> & { readonly version: string; readonly scripts: Record<string, string> };

/** The version of this package, and of its packages of kernels. */
export const packageVersion = (): string => manifestIn(packageFile("package.json")).version;

const manifestIn = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

/**
 * Makes the package in its published form: the files of `npm pack`, with the packages of kernels as optional
 * dependencies of the same version. The package.json of a clone does not name them, so a clone installs even if they
 * are not published.
 *
 * @param kernels names of packages.
 * @returns its folder.
 */
export function makePublishedPackage(kernels: readonly string[], root: string): string {
  const folder = join(root, "gpt2-ts");
  const work = mkdtempSync(join(tmpdir(), "gpt2-pack-"));
  try {
    const args = ["pack", "--ignore-scripts", "--silent", "--pack-destination", work, packageFile(".")];
    const archive = execFileSync("npm", args, { encoding: "utf8", cwd: work }).trim();
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    execFileSync("tar", ["-xzf", join(work, archive), "--strip-components=1", "-C", folder]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const path = join(folder, "package.json");
  const { devDependencies: _, allowScripts: __, scripts, ...manifest } = manifestIn(path);
  const published = {
    ...manifest,
    // The other scripts build or test a clone.
    scripts: { install: scripts.install },
    optionalDependencies: Object.fromEntries(kernels.map((name) => [name, manifest.version])),
  };
  writeFileSync(path, `${JSON.stringify(published, null, 2)}\n`);
  return folder;
}
