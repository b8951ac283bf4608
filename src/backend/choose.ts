import { BackendError, UsageError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { inNode } from "../util/runtime.js";
import type { Backend } from "./backend.js";

/** A choice of backend. `auto`: the native kernels if they load, else those compiled to WebAssembly, else the reference. */
export type BackendChoice = "auto" | "native" | "wasm" | "reference";

export interface BackendOptions {
  /** Default: the environment variable `GPT2_BACKEND`, else `auto`. */
  readonly backend?: BackendChoice | undefined;
  /** Native and wasm: number of compute threads; default `GPT2_THREADS`, else the processors that the process may use. */
  readonly threads?: number | undefined;
  /** Native: instruction set; default `GPT2_ISA`, else the best available. */
  readonly isa?: string | undefined;
  /** With `auto`: called with the reason if a slower backend has to be used. By default a warning, once for each reason. */
  readonly onFallback?: ((reason: Error, backend: Backend) => void) | undefined;
}

export interface ChosenBackend {
  readonly backend: Backend;
  /** With `auto`: why the native kernels (and, on the reference, WebAssembly) could not be used. */
  readonly fallback?: Error;
}

const CHOICES: readonly string[] = ["auto", "native", "wasm", "reference"] satisfies BackendChoice[];

/**
 * @throws {BackendError} `native` or `wasm` was requested and is unavailable, or the processor lacks the instruction set.
 * @throws {UsageError} an unknown backend, or an impossible number of threads.
 */
export async function chooseBackend(options: BackendOptions = {}): Promise<ChosenBackend> {
  checkOptionNames("choosing a backend", options, { backend: true, threads: true, isa: true, onFallback: true });
  const choice = checkChoice(options.backend);
  if (choice === "reference") return { backend: await chooseReference() };
  if (choice === "wasm") return { backend: await chooseWasm(options) };
  const missing = await missingNative();
  if (missing === undefined) return { backend: await chooseNative(options) };
  if (choice === "native") throw missing;
  const { onFallback = warnOnce } = options;
  try {
    const backend = await chooseWasm(options);
    // In a browser there is nothing better.
    if (!inNode()) return { backend };
    onFallback(missing, backend);
    return { backend, fallback: missing };
  } catch (error) {
    // An error such as a wrong number of threads is no reason to fall back.
    if (!(error instanceof BackendError)) throw error;
    const backend = await chooseReference();
    onFallback(error, backend);
    return { backend, fallback: error };
  }
}

const warned = new Set<string>();

function warnOnce({ message: reason }: Error, { description }: Backend): void {
  if (warned.has(reason)) return;
  warned.add(reason);
  const message = `gpt2-ts runs on ${description}, slower, because: ${reason}`;
  if (inNode()) process.emitWarning(message, "BackendWarning");
  else console.warn(message);
}

/** Why the native kernels can't be used; undefined if they can. */
async function missingNative(): Promise<Error | undefined> {
  if (!inNode()) {
    return new BackendError({ op: "native backend", expected: "Node", got: "another JavaScript runtime" });
  }
  // Imported only now, because it loads koffi, which supports certain platforms only.
  return import("#node/backend/native/index.js").then(
    ({ nativeLibrary }) => failure(() => nativeLibrary()),
    (error: Error) => error,
  );
}

async function chooseReference(): Promise<Backend> {
  return (await import("./reference/index.js")).referenceBackend();
}

async function chooseWasm({ threads }: BackendOptions): Promise<Backend> {
  const { wasmBackend } = await import("./wasm/index.js");
  return wasmBackend(threads === undefined ? {} : { threads });
}

function checkChoice(option: string | undefined): BackendChoice {
  const choice = option ?? (globalThis.process?.env?.GPT2_BACKEND || "auto");
  if (CHOICES.includes(choice)) return choice as BackendChoice;
  const op = option === undefined ? "GPT2_BACKEND" : "backend";
  throw new UsageError({ op, expected: CHOICES.join(" or "), got: choice });
}

async function chooseNative({ threads, isa }: BackendOptions): Promise<Backend> {
  const { nativeBackend } = await import("#node/backend/native/index.js");
  return nativeBackend({ ...(threads !== undefined && { threads }), ...(isa !== undefined && { isa }) });
}

function failure(run: () => unknown): Error | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
