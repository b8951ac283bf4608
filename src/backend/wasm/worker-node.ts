import { parentPort } from "node:worker_threads";
import { serveOwner } from "./worker.js";

const port = parentPort!;
serveOwner({
  post: (message, transfer = []) => port.postMessage(message, transfer),
  listen: (onMessage) => void port.on("message", onMessage),
});
