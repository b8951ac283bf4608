import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Folders of test/ whose files share one process: starting Node and loading the package takes longer than running most files.
 * Each file of the other folders has its own process: they measure memory, start processes, or change the environment.
 */
const SHARED = new Set(
  `architectures bench bert checkpoint cli constrain data dtype evaluate generate helpers hub misuse program serve
  tasks tokenizer train util`.split(/\s+/),
);

/** Imports and calls found in files that measure the memory of their process. */
const MEASURES_MEMORY = /\/(mutator|damaged-folder)\.js"|\.heapUsed/;

/**
 * Generates a module for each shared folder, and for each other file, that imports the runner without its hook and then the
 * files. The files' imports are static, so none waits for the top-level await of another: Node's runner cancels tests that are
 * declared after all others are done.
 *
 * @param root the package's folder
 * @param files paths of test files in it: `test/data/zstd.test.ts`
 * @param compiledOf the path of a file's compiled module
 * @returns paths of modules to run, those of many files first
 */
export function groupTests(root: string, files: readonly string[], compiledOf: (file: string) => string): string[] {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const [, folder = ""] = file.split("/");
    const shared = SHARED.has(folder) && !file.endsWith(".long.test.ts");
    const group = shared && !MEASURES_MEMORY.test(readFileSync(join(root, file), "utf8")) ? folder : file;
    groups.set(group, [...(groups.get(group) ?? []), compiledOf(file)]);
  }
  const folder = mkdtempSync(join(tmpdir(), "gpt2-tests-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, lines: readonly string[]): string => {
    const path = join(folder, name);
    writeFileSync(path, lines.map((line) => `${line};\n`).join(""));
    return path;
  };
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([group, paths]) => {
      const name = group.replaceAll("/", "-").replace(/\.ts$/, "");
      const files = write(
        `${name}.files.mjs`,
        paths.map((path) => `import ${quoted(pathToFileURL(path))}`),
      );
      return write(`${name}.mjs`, [`import ${quoted(HOOKS)}`, `await import(${quoted(pathToFileURL(files))})`]);
    });
}

/** Loaded before any test file, because they load `node:test`. */
const HOOKS = new URL("without-promise-hooks.js", import.meta.url);

const quoted = (url: URL): string => JSON.stringify(url.href);
