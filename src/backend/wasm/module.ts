import { BackendError } from "../../errors.js";
import { KERNELS_VERSION } from "../kernels/op-layout.js";
import type { Platform } from "./platform.js";

/** The kernels as a WebAssembly module: required engine features, compilation, instances. */

/** A module whose one function has this body and no parameters or results: an engine validates it if it supports the opcodes. */
function moduleOf(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]; // "\0asm", version 1
  const type = [1, 4, 1, 0x60, 0, 0];
  const functions = [3, 2, 1, 0];
  const code = [0, ...body, 0x0b]; // no locals; end
  return Uint8Array.from([...header, ...type, ...functions, 10, code.length + 2, 1, code.length, ...code]);
}

const ZEROS = [0x41, 0, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const DROP = 0x1a;

export function hasSimd(): boolean {
  return WebAssembly.validate(moduleOf([...ZEROS, DROP]));
}

/** Relaxed SIMD: fused multiply-adds where the processor has them. */
export function hasRelaxedSimd(): boolean {
  const relaxedMadd = [0xfd, 0x85, 0x02];
  return WebAssembly.validate(moduleOf([...ZEROS, ...ZEROS, ...ZEROS, ...relaxedMadd, DROP]));
}

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/**
 * The kernels, compiled by the engine, once for each kind. `shared` says whether their memory is.
 *
 * @throws {BackendError} the file is missing or is not the module.
 */
export function compileKernels(platform: Platform, relaxed: boolean, shared: boolean): Promise<WebAssembly.Module> {
  const name = relaxed ? "gpt2-relaxed.wasm" : "gpt2.wasm";
  const key = `${name} ${shared}`;
  let module = compiled.get(key);
  if (!module) {
    module = compile(platform, name, shared);
    compiled.set(key, module);
    // A failure, for example of the network, may be temporary.
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
    const hint = "A page's server has to serve the package's assets too: see docs/wasm.md";
    const expected = "a WebAssembly module that this engine compiles";
    throw new BackendError({ op: `wasm backend: assets/${name}`, expected, got: String(cause), hint, cause });
  }
}

const IMPORT_SECTION = 2;
const MEMORY = 2;
/** Limits of a memory in the binary format: a bit for "has a maximum", one for "is shared". */
const SHARED = 2;

/**
 * Sets whether the imported memory is shared: the one byte in which modules with and without threads need to differ,
 * since atomic instructions work on any memory. The memory is the module's first import.
 */
export function setMemoryShared(module: Uint8Array, shared: boolean): void {
  let at = 8; // after magic and version
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      if (byte === undefined) throw noMemory("the end of the file");
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
  const kind = module[at++];
  if (kind !== MEMORY) throw noMemory(`an import of kind ${kind}`);
  module[at] = shared ? module[at]! | SHARED : module[at]! & ~SHARED;
}

function noMemory(got: string): BackendError {
  const hint = "Restore the file, or rebuild it: node dist/scripts/build-wasm.js";
  return new BackendError({ op: "wasm backend: module", expected: "a memory as its first import", got, hint });
}

/** The functions of native/wasm.c. Addresses are numbers; those from 2 GiB on may come back negative. */
export interface Kernels {
  readonly __stack_pointer: WebAssembly.Global<"i32">;
  gpt2_version(): number;
  gpt2_setup(threads: number): number;
  gpt2_work(tid: number): void;
  gpt2_set(ops: number, count: number, dims: number, scalars: number, seconds: number): void;
  gpt2_start(): void;
  gpt2_run(first: number, until: number): number;
  gpt2_result(): number;
  gpt2_peak(): number;
  gpt2_partials(): number;
}

/** Number of pages that the module's own data and stack take. */
export const INITIAL_PAGES = 16;

export const MAX_THREADS = 64;

/** The time in seconds, for the kernels. */
export const now = (): number => performance.now() / 1000;

/**
 * Instantiates the kernels on a memory. Thread 0 of a team calls `done` when a run has ended. A thread with a `stack` uses it;
 * the first instance uses the module's.
 */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  done: (result: number) => void,
  stack?: { readonly top: number },
): Promise<Kernels> {
  const instance = await WebAssembly.instantiate(module, { env: { memory, now, done } });
  const kernels = instance.exports as unknown as Kernels;
  const version = kernels.gpt2_version();
  if (version !== KERNELS_VERSION) {
    const expected = `kernels of version ${KERNELS_VERSION}`;
    throw new BackendError({ op: "wasm backend: module", expected, got: `${version}` });
  }
  if (stack) kernels.__stack_pointer.value = stack.top | 0;
  return kernels;
}

/** The failure of a worker that could not start, or of a kernel that trapped (for example on a token beyond the vocabulary). */
export function kernelFailure(error: unknown): BackendError {
  return new BackendError({
    op: "wasm backend",
    expected: "workers that start and kernels that run to their end",
    got: error instanceof Error ? error.message : String(error),
    hint: "This backend can no longer be used; create another",
    cause: error,
  });
}
