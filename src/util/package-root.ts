import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
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
  root ??= rootAbove(thisFile()) ?? rootBeside(thisFile());
  return root;
}

/** Path of a file that ships in the package: `packageFile("assets/x.bin")`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
}

/** A module of this package for a `Worker`: `packageModule("data/encode-worker.js")`. */
export function packageModule(path: string): URL {
  return pathToFileURL(packageFile(join("dist", "src", path)));
}

/** This file or the bundle that contains it; in a CommonJS bundle there is no import.meta.url. */
function thisFile(): string {
  if (import.meta.url?.startsWith("file:")) return fileURLToPath(import.meta.url);
  return typeof __filename === "string" ? __filename : join(process.cwd(), "bundle.js");
}

function rootAbove(file: string): string | undefined {
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    const found = join(dir, "package.json");
    if (existsSync(found) && JSON.parse(readFileSync(found, "utf8")).name === NAME) return dir;
    if (dirname(dir) === dir) return undefined;
  }
}

function rootBeside(bundle: string): string {
  try {
    return dirname(createRequire(bundle).resolve(`${NAME}/package.json`));
  } catch (cause) {
    throw new GPT2Error({
      op: "looking for the files of gpt2-ts (model, kernels, workers)",
      expected: `the package ${NAME} where ${bundle} could import it`,
      got: "none",
      hint: `npm install ${NAME} there, or copy node_modules/${NAME} and node_modules/koffi to a node_modules beside the bundle`,
      cause,
    });
  }
}
