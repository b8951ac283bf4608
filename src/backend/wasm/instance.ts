import { BackendError } from "../../errors.js";
import { KERNELS_VERSION } from "../op-layout.js";

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

/** Pages that the module's own data and stack take. */
export const INITIAL_PAGES = 16;

export const MAX_THREADS = 64;

/** Seconds, as the kernels see time. */
export const now = (): number => performance.now() / 1000;

/**
 * The kernels on a memory. `done` is called by thread 0 of a team when a run is over. A thread with a `stack` gets it as
 * its own; the first instance uses the module's.
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
