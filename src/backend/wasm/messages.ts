import type { ErrorDetails } from "../../errors.js";

/** A worker as seen by its owner, on any platform. */
export interface WorkerLink {
  post(message: ToWorker | Request, transfer?: ArrayBuffer[]): void;
  /** Called once, right after the worker is created. */
  listen(onMessage: (message: FromWorker) => void, onError: (error: unknown) => void): void;
  /** Whether the process should stay alive for this worker. */
  keepAlive(on: boolean): void;
  /** Stops it at once; resolves when its thread has ended, where the platform reports that. */
  terminate(): Promise<void>;
}

/** The worker's end of the link to its owner. */
export interface OwnerLink {
  post(message: FromWorker, transfer?: ArrayBuffer[]): void;
  listen(onMessage: (message: ToWorker | Request) => void): void;
}

/** The first message to a worker, which selects one of two kinds of worker. */
export type ToWorker =
  /** Become thread `tid` of the team on this memory. */
  | {
      readonly kind: "work";
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly tid: number;
      readonly stack: { readonly top: number };
    }
  /** Use memory of your own and serve the requests that follow. */
  | { readonly kind: "serve"; readonly module: WebAssembly.Module };

/** Requests to a worker with memory of its own; the owner numbers blocks and codes. */
export type Request =
  | { readonly kind: "alloc"; readonly block: number; readonly bytes: number }
  | { readonly kind: "free"; readonly block: number }
  | { readonly kind: "write"; readonly block: number; readonly at: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "copy"; readonly to: RemotePlace; readonly from: RemotePlace; readonly bytes: number }
  | { readonly kind: "load"; readonly code: number; readonly ops: Uint8Array; readonly blocks: readonly number[] }
  | { readonly kind: "unload"; readonly code: number }
  | ({ readonly reply: number } & Question);

export interface RemotePlace {
  readonly block: number;
  readonly at: number;
}

/** Requests that have a reply. */
export type Question =
  | { readonly kind: "read"; readonly block: number; readonly at: number; readonly bytes: number }
  | {
      readonly kind: "run";
      readonly code: number;
      readonly dims: BigInt64Array<ArrayBuffer>;
      readonly scalars: Float64Array<ArrayBuffer>;
      readonly timed: boolean;
    }
  | { readonly kind: "peak" };

export type FromWorker =
  | { readonly kind: "ready" }
  /** A team's run has ended. */
  | { readonly kind: "done"; readonly result: number }
  | { readonly kind: "reply"; readonly reply: number; readonly value?: Uint8Array | Float64Array | number | undefined }
  /** Memory ran out. */
  | { readonly kind: "refused"; readonly reply: number; readonly details: ErrorDetails }
  /** The worker can no longer be used. */
  | { readonly kind: "failed"; readonly error: string };
