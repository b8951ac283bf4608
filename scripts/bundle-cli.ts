/**
 * Replaces dist/src/cli/main.js by one file with all of the command's imports: a start then reads a few modules instead of a
 * hundred and fifty, which take a fifth of its time. Both are made of src/cli/main.ts, because `tsc` compiles only what has
 * changed, and so may leave an older bundle there.
 */
import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { build, transform } from "esbuild";
import { packageFile } from "../src/util/package-root.js";

/** commander is CommonJS, and requires Node's modules. */
const REQUIRE =
  'import { createRequire as requireOf } from "node:module";\nconst require = requireOf(import.meta.url);';

const MAIN = packageFile("dist/src/cli/main.js");
const source = (): Promise<string> => readFile(packageFile("src/cli/main.ts"), "utf8");

/** Bundles the compiled command into `target`. */
export async function bundleCli(target: string): Promise<void> {
  const temporary = `${target}.${process.pid}`;
  await build({
    stdin: { contents: await source(), loader: "ts", sourcefile: "main.ts", resolveDir: packageFile("dist/src/cli") },
    outfile: temporary,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    banner: { js: REQUIRE },
    logLevel: "warning",
  });
  await replace(target, temporary);
}

/** Puts the command's own module back in the bundle's place: it imports the others, which behave the same. */
export async function unbundleCli(): Promise<void> {
  const temporary = `${MAIN}.${process.pid}`;
  const { code } = await transform(await source(), { loader: "ts", format: "esm", target: "node20" });
  await writeFile(temporary, code);
  await replace(MAIN, temporary);
}

/** Renames it into place: another process may be reading the old file. */
async function replace(target: string, temporary: string): Promise<void> {
  await chmod(temporary, 0o755);
  await rename(temporary, target);
}

if (process.argv[1]?.endsWith("bundle-cli.js")) await bundleCli(MAIN);
