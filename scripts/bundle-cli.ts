/**
 * Replaces dist/src/cli/main.js by one file with all of the command's imports: a start then reads a few modules instead of a
 * hundred and fifty, which take a fifth of its time. `tsc` alone restores the separate modules, which behave the same.
 */
import { chmod, rename } from "node:fs/promises";
import { build } from "esbuild";
import { packageFile } from "../src/util/package-root.js";

/** commander is CommonJS, and requires Node's modules. */
const REQUIRE =
  'import { createRequire as requireOf } from "node:module";\nconst require = requireOf(import.meta.url);';

const MAIN = packageFile("dist/src/cli/main.js");

/** Bundles the compiled command, or a bundle of it, into `target` beside it. */
export async function bundleCli(target: string): Promise<void> {
  const temporary = `${target}.${process.pid}`;
  await build({
    entryPoints: [MAIN],
    outfile: temporary,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    banner: { js: REQUIRE },
    logLevel: "warning",
  });
  await chmod(temporary, 0o755);
  // Renamed into place: another process may be reading it.
  await rename(temporary, target);
}

if (process.argv[1]?.endsWith("bundle-cli.js")) await bundleCli(MAIN);
