import { UsageError } from "../errors.js";

/** Whether Node's modules exist: in Node, Bun, Deno and Electron. */
export function inNode(): boolean {
  return globalThis.process?.versions?.node !== undefined;
}

/**
 * Guards the import of a module of `#node/`, which an unbundled page can't resolve and which is empty in a bundle.
 *
 * @throws {UsageError} in a browser, or another runtime without Node's modules.
 */
export function needNode(op: string, hint: string): void {
  if (inNode()) return;
  throw new UsageError({ op, expected: "Node, Bun or Deno", got: globalThis.navigator?.userAgent ?? "another", hint });
}
