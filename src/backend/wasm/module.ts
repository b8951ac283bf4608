import { BackendError } from "../../errors.js";
import type { Platform } from "./platform.js";

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/**
 * The kernels, compiled by the engine; once for each kind. `shared` is whether their memory will be.
 *
 * @throws {BackendError} the file is not there or not the module.
 */
export function compileKernels(platform: Platform, relaxed: boolean, shared: boolean): Promise<WebAssembly.Module> {
  const name = relaxed ? "gpt2-relaxed.wasm" : "gpt2.wasm";
  const key = `${name} ${shared}`;
  let module = compiled.get(key);
  if (!module) {
    module = compile(platform, name, shared);
    compiled.set(key, module);
    // A failure, of the network say, may pass.
    module.catch(() => compiled.delete(key));
  }
  return module;
}

async function compile(platform: Platform, name: string, shared: boolean): Promise<WebAssembly.Module> {
  try {
    const bytes = await platform.readAsset(name);
    setMemoryShared(bytes, shared);
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    if (cause instanceof BackendError) throw cause;
    throw new BackendError({ op: `wasm backend: assets/${name}`, got: String(cause), cause });
  }
}

const IMPORT_SECTION = 2;
const MEMORY = 2;
/** Limits of a memory in the binary format: a bit for "has a maximum", one for "is shared". */
const SHARED = 2;

/**
 * Sets whether the imported memory is shared: the one byte in which modules with and without threads need to differ,
 * since atomic instructions work on any memory. The module imports its memory first of all.
 */
export function setMemoryShared(module: Uint8Array, shared: boolean): void {
  let at = 8; // after magic and version
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      if (byte === undefined) throw new BackendError({ op: "wasm module", expected: "an imported memory" });
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skip = (): void => {
    const length = leb();
    at += length;
  };
  while (leb() !== IMPORT_SECTION) skip();
  leb(); // section length
  leb(); // number of imports
  skip(); // module name
  skip(); // name
  if (module[at++] !== MEMORY) throw new BackendError({ op: "wasm module", expected: "the memory as first import" });
  module[at] = shared ? module[at]! | SHARED : module[at]! & ~SHARED;
}
