import { existsSync, readFileSync } from "node:fs";
// A namespace import: webpack warns of a createRequire that it can't follow.
import * as nodeModule from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { GPT2Error } from "../errors.js";

const NAME = "gpt2-ts";

let root: string | undefined;

/**
 * The folder that holds this package's package.json, its model, kernels and workers. Found upwards from this file,
 * wherever it was compiled to; from a bundle, as the package `gpt2-ts` that the bundle could import.
 *
 * @throws {GPT2Error} this is a bundle, and the package is not installed where it runs.
 */
export function packageRoot(): string {
  root ??= findRoot();
  return root;
}

/** The path of a file that ships in the package: `packageFile("assets/x.bin")`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
}

/** The address of a module of this package for a `Worker`: `packageModule("data/encode-worker.js")`. */
export function packageModule(path: string): URL {
  return pathToFileURL(packageFile(join("dist", "src", path)));
}

/** koffi, which calls native code, resolved as an import of this package. @throws it is missing, or has no build for this platform. */
export function requireKoffi(): typeof import("koffi") {
  return nodeModule.createRequire(packageFile("package.json"))("koffi");
}

/** The path of a file in a dependency of this package, `name/file`. @throws it is not installed. */
export function resolveDependency(path: string): string {
  return nodeModule.createRequire(packageFile("package.json")).resolve(path);
}

function findRoot(): string {
  const files = [thisFile(), process.argv[1], join(process.cwd(), "bundle.js")].filter((file) => file !== undefined);
  const above = rootAbove(files[0]!);
  if (above !== undefined) return above;
  for (const file of files) {
    const installed = rootBeside(file);
    if (installed !== undefined) return installed;
  }
  throw new GPT2Error({
    op: `looking for the files of ${NAME} (model, kernels, workers)`,
    expected: `the package ${NAME} where ${files[0]} could import it`,
    got: "no such package",
    hint: `npm install ${NAME} there, or copy node_modules/${NAME} and node_modules/koffi to a node_modules beside the bundle`,
  });
}

/**
 * This file, or the bundle that contains it. In a CommonJS bundle import.meta.url may be missing, and webpack's gives
 * the place of this file when the bundle was made.
 */
function thisFile(): string | undefined {
  const url: string | undefined = import.meta.url;
  const file = url?.startsWith("file:") ? fileURLToPath(url) : undefined;
  if (file !== undefined && existsSync(file)) return file;
  try {
    return __filename;
  } catch {
    // A module. (webpack defines `__filename` in modules too.)
    return undefined;
  }
}

function rootAbove(file: string): string | undefined {
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    const found = join(dir, "package.json");
    if (existsSync(found) && JSON.parse(readFileSync(found, "utf8")).name === NAME) return dir;
    if (dirname(dir) === dir) return undefined;
  }
}

/** The package, resolved as an import of a file. */
function rootBeside(file: string): string | undefined {
  try {
    return dirname(nodeModule.createRequire(file).resolve(`${NAME}/package.json`));
  } catch {
    return undefined;
  }
}
