import { BackendError } from "../../errors.js";
import type { Platform } from "./platform.js";

/** The package's assets as seen from this file, which lies in dist/src/backend/wasm. */
const ASSETS = "../../../../assets/";

export const platform: Platform = {
  // Without isolation (the headers COOP and COEP) browsers refuse to post shared memory.
  sharesMemory: globalThis.crossOriginIsolated === true,
  threads: () => navigator.hardwareConcurrency || 1,
  enableRelaxedSimd: () => {},
  readAsset: async (name) => {
    const url = new URL(`${ASSETS}${name}`, import.meta.url);
    const response = await fetch(url);
    if (!response.ok) throw new BackendError({ op: `fetching ${url}`, got: `status ${response.status}` });
    return new Uint8Array(await response.arrayBuffer());
  },
  spawn: () => {
    if (typeof Worker === "undefined") return undefined;
    // Written out in one expression, which is how bundlers recognise a worker.
    const worker = new Worker(new URL("./worker-browser.js", import.meta.url), { type: "module", name: "gpt2-wasm" });
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      listen: (onMessage, onError) => {
        worker.onmessage = (event) => onMessage(event.data);
        worker.onerror = (event) => onError(event.error ?? event.message ?? "it could not be loaded");
        worker.onmessageerror = () => onError("a message could not be read");
      },
      keepAlive: () => {},
      terminate: () => worker.terminate(),
    };
  },
};
