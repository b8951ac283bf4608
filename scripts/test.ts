import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { packageFile } from "../src/util/package-root.js";

/**
 * Runs the compiled tests of every test/**\/*.test.ts there is (not what an old build left in dist) with Node's own
 * runner, which in Node 20 takes no patterns. Arguments choose files whose path contains one of them.
 */
function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "fixtures" ? [] : testFiles(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

const root = packageFile(".");
const wanted = process.argv.slice(2);
const files = testFiles(join(root, "test"))
  .map((file) => relative(root, file))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, "dist", file.replace(/\.ts$/, ".js")));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(", ")}`);
  process.exit(1);
}
const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=spec", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
