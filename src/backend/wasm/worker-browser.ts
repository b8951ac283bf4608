import { serveOwner } from "./worker.js";

/** The parts of a dedicated worker's global scope that are used here (TypeScript's "dom" library describes a page's). */
interface WorkerScope {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

const scope = globalThis as unknown as WorkerScope;
serveOwner({
  post: (message, transfer = []) => scope.postMessage(message, transfer),
  listen: (onMessage) => {
    scope.onmessage = (event) => onMessage(event.data);
  },
});
