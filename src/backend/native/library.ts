import { BackendError } from "../../errors.js";
import { packageRoot, requireKoffi } from "../../util/package-root.js";
import { KERNELS_VERSION } from "../kernels/op-layout.js";
import { libraryPaths } from "./library-path.js";

/** A block of memory, a mapped file or a team: opaque to JavaScript. */
export type Resource = object;

/** The arguments of gpt2_run. */
export type NativeRun = [
  team: Resource,
  ops: Uint8Array,
  count: number,
  dims: BigInt64Array,
  scalars: Float64Array,
  seconds: Float64Array | null,
];

/** The functions of native/runtime.c. A resource that is not released explicitly is released when its thread ends. */
export interface NativeLibrary {
  hasIsa(isa: string): number;
  bestIsa(): string;
  /** Null if memory is exhausted. */
  alloc(bytes: number): Resource | null;
  /** Null if the file can't be mapped, with minus the system's error number in `size`. */
  map(path: string, size: BigInt64Array): Resource | null;
  /** Null if the threads can't be started. */
  /** @param spins whether there is a processor for each thread, so that waiting threads may spin */
  team(threads: number, isa: string, spins: boolean): Resource | null;
  /** Ends a team's threads, or releases memory and its addresses. */
  release(resource: Resource): void;
  /** Releases the memory alone: its addresses stay valid. */
  discard(resource: Resource): void;
  /** The address at which the memory or file of a resource begins. */
  memory(resource: Resource): bigint;
  /** Releases the memory of a part of a mapping, which stays readable. */
  forget(address: bigint, bytes: number): void;
  /** gpt2_run on a thread of libuv's pool; resolves with its result. */
  run(...run: NativeRun): Promise<number>;
  /** gpt2_run on this thread. */
  runHere(...run: NativeRun): number;
  peakFlops(team: Resource): Promise<number>;
  /** Each ConvertJob of native/op.h as nine int64; on a thread of libuv's pool. */
  convert(team: Resource, jobs: BigInt64Array, count: number): Promise<number>;
  /** The address of an array's contents. */
  address(array: Uint8Array): bigint;
  view(address: bigint, bytes: number): ArrayBuffer;
}

/** FUNCTIONS_VERSION of native/runtime.c. */
const FUNCTIONS_VERSION = 2;
const VERSION = (KERNELS_VERSION + FUNCTIONS_VERSION) | 0;

let loaded: NativeLibrary | undefined;

/** @throws {BackendError} the library was not built, or has another version. */
export function nativeLibrary(): NativeLibrary {
  loaded ??= load();
  return loaded;
}

type Koffi = typeof import("koffi");

function load(): NativeLibrary {
  const failures: string[] = [];
  try {
    const koffi: Koffi = requireKoffi();
    for (const path of libraryPaths()) {
      try {
        return open(koffi, path);
      } catch (error) {
        failures.push(`${path} (${(error as Error).message})`);
      }
    }
  } catch (error) {
    failures.push((error as Error).message);
  }
  const got = failures.length > 0 ? failures.join(", ") : "none";
  throw new BackendError({ op: "native backend", expected: "compiled kernels", got, hint: buildHint() });
}

/** How to get kernels: for an installed package, or in a clone. */
export function buildHint(): string {
  const command = packageRoot().includes("node_modules") ? "npm rebuild gpt2-ts" : "npm run build";
  return `\`${command}\` compiles them, with a C compiler installed`;
}

/** @throws the library can't be loaded, or has another version. */
function open(koffi: Koffi, path: string): NativeLibrary {
  const lib = koffi.load(path);
  const version = lib.func("int32_t gpt2_version()")() as number;
  if (version !== VERSION) throw new Error(`version ${version} instead of ${VERSION}`);
  const run = lib.func(
    "int32_t gpt2_run(void *team, void *ops, int64_t n_ops, void *dims, void *scalars, void *seconds)",
  );
  const peakFlops = lib.func("double gpt2_peak_flops(void *team)");
  const convert = lib.func("int32_t gpt2_convert(void *team, void *jobs, int64_t count)");
  const memory = lib.func("void *gpt2_memory(void *resource)");
  return {
    hasIsa: lib.func("int32_t gpt2_has_isa(const char *isa)"),
    bestIsa: lib.func("const char *gpt2_best_isa()"),
    alloc: lib.func("void *gpt2_alloc(int64_t bytes)"),
    map: lib.func("void *gpt2_map(const char *path, void *size)"),
    team: lib.func("void *gpt2_team(int32_t threads, const char *isa, bool spins)"),
    release: lib.func("void gpt2_release(void *resource)"),
    discard: lib.func("void gpt2_discard(void *resource)"),
    memory: (resource) => koffi.address(memory(resource)),
    forget: lib.func("void gpt2_forget(intptr_t p, int64_t bytes)"),
    run: (...args) => inPool(run, ...args),
    runHere: run as unknown as NativeLibrary["runHere"],
    peakFlops: (team) => inPool(peakFlops, team),
    convert: (team, jobs, count) => inPool(convert, team, jobs, count),
    address: (array) => koffi.address(array),
    view: (address, bytes) => koffi.view(address, bytes),
  };
}

/** Maximum number of calls under way: more than libuv's pool has threads, fewer than the 256 that koffi allows. */
const MAX_CALLS = 128;
let calls = 0;
const waiting: (() => void)[] = [];

interface AsyncFunction {
  async(...args: unknown[]): unknown;
}

/** Calls a function on a thread of libuv's pool, once fewer than MAX_CALLS are under way. */
async function inPool<T>(fn: AsyncFunction, ...args: unknown[]): Promise<T> {
  if (calls >= MAX_CALLS) await new Promise<void>((resolve) => waiting.push(resolve));
  else calls++;
  try {
    return await new Promise<T>((resolve, reject) => {
      fn.async(...args, (error: unknown, result: T) => (error ? reject(error) : resolve(result)));
    });
  } finally {
    const next = waiting.shift();
    // The next waiting call takes this one's place.
    if (next) next();
    else calls--;
  }
}
