import { readFile, rename, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { packageFile } from "../src/util/package-root.js";

/** Writes dist/src/backend/wasm/embedded.js: see src/backend/wasm/embedded.d.ts. */
export async function embedWasm(): Promise<void> {
  const folder = packageFile("dist/src/backend/wasm");
  const names = ["gpt2.wasm", "gpt2-relaxed.wasm"];
  const modules = names.map(async (name) => [name, await readFile(packageFile(`assets/${name}`), "base64")]);
  const { outputFiles } = await build({
    entryPoints: [`${folder}/worker-browser.js`],
    bundle: true,
    minify: true,
    format: "iife",
    platform: "browser",
    target: "es2022",
    write: false,
  });
  const lines = [
    `export const modules = ${JSON.stringify(Object.fromEntries(await Promise.all(modules)))};`,
    `export const worker = ${JSON.stringify(outputFiles[0]!.text)};`,
  ];
  // Renamed into place: another process may be reading it.
  await writeFile(`${folder}/embedded.js.${process.pid}`, `${lines.join("\n")}\n`);
  await rename(`${folder}/embedded.js.${process.pid}`, `${folder}/embedded.js`);
}

if (process.argv[1]?.endsWith("embed-wasm.js")) await embedWasm();
