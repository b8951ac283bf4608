import { modules, worker as workerSource } from "./embedded.js";
import type { Platform } from "./platform.js";

let workerUrl: string | undefined;

/**
 * The worker's script as an address. The package contains it as text, because only some bundlers find a
 * separate file; a page's Content-Security-Policy, if there is one, needs `worker-src blob:`.
 */
function workerAddress(): string {
  workerUrl ??= URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  return workerUrl;
}

export const platform: Platform = {
  // Without isolation (the headers COOP and COEP) browsers refuse to post shared memory.
  sharesMemory: globalThis.crossOriginIsolated === true,
  threads: () => navigator.hardwareConcurrency || 1,
  enableRelaxedSimd: () => {},
  readAsset: async (name) => Uint8Array.from(atob(modules[name]!), (c) => c.charCodeAt(0)),
  spawn: () => {
    if (typeof Worker === "undefined") return undefined;
    const worker = new Worker(workerAddress(), { name: "gpt2-wasm" });
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      listen: (onMessage, onError) => {
        worker.onmessage = (event) => onMessage(event.data);
        worker.onerror = (event) => onError(event.error ?? event.message ?? "it could not be loaded");
        worker.onmessageerror = () => onError("a message could not be read");
      },
      keepAlive: () => {},
      terminate: async () => worker.terminate(),
    };
  },
};
