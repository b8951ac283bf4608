/** A worker as its owner sees it, whichever the platform. */
export interface WorkerLink {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Called once, right after the worker was made. */
  listen(onMessage: (message: unknown) => void, onError: (error: unknown) => void): void;
  /** Whether the process should stay alive for this worker. */
  keepAlive(on: boolean): void;
  terminate(): void;
}

/** The other end: what a worker talks to its owner through. */
export interface OwnerLink {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  listen(onMessage: (message: unknown) => void): void;
}
