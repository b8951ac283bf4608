import type { WorkerLink } from "./worker-link.js";

/** What differs between Node (Bun, Electron) and browsers. */
export interface Platform {
  /** Whether workers can share memory with this thread. */
  readonly sharesMemory: boolean;
  /** Threads to compute with when nobody says. */
  threads(): number;
  /** Switches relaxed SIMD on, where the engine has it behind a flag. */
  enableRelaxedSimd(): void;
  /** The bytes of a file in the package's assets folder. */
  readAsset(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** A new worker running worker.ts; undefined where there are none. */
  spawn(): WorkerLink | undefined;
}

export async function currentPlatform(): Promise<Platform> {
  const inNode = typeof process === "object" && process.versions?.node !== undefined;
  const { platform } = inNode ? await import("./platform-node.js") : await import("./platform-browser.js");
  return platform;
}
