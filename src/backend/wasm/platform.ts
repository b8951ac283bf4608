import { inNode } from "../../util/runtime.js";
import type { WorkerLink } from "./messages.js";

/** The differences between Node (Bun, Electron) and browsers. */
export interface Platform {
  /** Whether workers can share memory with this thread. */
  readonly sharesMemory: boolean;
  /** Default number of compute threads. */
  threads(): number;
  /** Switches relaxed SIMD on, where the engine has it behind a flag. */
  enableRelaxedSimd(): void;
  /** The bytes of a file in the package's assets folder. */
  readAsset(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** A new worker running worker.ts; undefined where there are none. */
  /** Starts a worker that runs worker.ts; undefined where there are no workers. */
  spawn(): WorkerLink | undefined;
}

export async function currentPlatform(): Promise<Platform> {
  const { platform } = inNode()
    ? await import("#node/backend/wasm/platform-node.js")
    : await import("./platform-browser.js");
  return platform;
}
