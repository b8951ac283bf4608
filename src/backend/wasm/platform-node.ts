import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { packageFile, packageModule } from "../../util/package-root.js";
import { defaultThreads } from "../../util/usable-cpus.js";
import type { Platform } from "./platform.js";

export const platform: Platform = {
  sharesMemory: true,
  threads: () => defaultThreads(),
  // Node 20's V8 has it behind a flag, which must be set before the module is compiled.
  enableRelaxedSimd: () => setFlagsFromString("--experimental-wasm-relaxed-simd"),
  readAsset: async (name) => new Uint8Array(await readFile(packageFile(`assets/${name}`))),
  spawn: () => {
    const worker = new Worker(packageModule("backend/wasm/worker-node.js"), { name: "gpt2-wasm" });
    worker.unref();
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      listen: (onMessage, onError) => {
        worker.on("message", onMessage);
        worker.on("error", onError);
      },
      keepAlive: (on) => (on ? worker.ref() : worker.unref()),
      terminate: async () => void (await worker.terminate()),
    };
  },
};
