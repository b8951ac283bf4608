import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { packageFile } from "../src/util/package-root.js";
import { embedWasm } from "./embed-wasm.js";

/**
 * Runs compiled tests with Node's own runner, which in Node 20 takes no patterns: those of every test/**\/*.test.ts there
 * is, not what an old build left in dist. Arguments choose files whose path contains one of them. Files named
 * *.long.test.ts run with `--all` only.
 */
function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "fixtures" || entry.name === "node_modules" ? [] : testFiles(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

const root = packageFile(".");
const all = process.argv.includes("--all");
const parts = process.argv.slice(2).filter((argument) => argument !== "--all");
const files = testFiles(join(root, "test"))
  .map((file) => relative(root, file))
  .filter((file) => all || !file.endsWith(".long.test.ts"))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, "dist", file.replace(/\.ts$/, ".js")));
if (files.length === 0) {
  console.error(`no test file matches ${parts.join(", ")}`);
  process.exit(1);
}
await embedWasm();
// Node's own default leaves one processor idle, and so runs one file at a time on two.
const results = run({ files, concurrency: Math.max(2, availableParallelism()) });
results.on("test:fail", () => (process.exitCode = 1));
results.compose(new spec()).pipe(process.stdout);
