import { existsSync } from "node:fs";
import { BackendError } from "../../errors.js";
import { requireKoffi } from "../../util/package-root.js";
import { KERNELS_VERSION } from "../kernels/op-layout.js";
import { libraryPath } from "./library-path.js";

/** What gpt2_run takes. */
export type NativeRun = [
  team: unknown,
  ops: Uint8Array,
  count: number,
  dims: BigInt64Array,
  scalars: Float64Array,
  seconds: Float64Array | null,
];

/** The functions of native/runtime.c. Pointers are opaque to JavaScript. */
export interface NativeLibrary {
  hasIsa(isa: string): number;
  bestIsa(): string;
  alloc(bytes: number): unknown;
  free(pointer: unknown, bytes: number): void;
  map(path: string, size: BigInt64Array): unknown;
  unmap(pointer: unknown, size: number): void;
  /** Lets go of the memory of a part of a mapping, which stays readable. */
  forget(address: bigint, bytes: number): void;
  team(threads: number, isa: string): unknown;
  teamFree(team: unknown): void;
  /** gpt2_run on a thread of its own; resolves with its result. */
  run(...run: NativeRun): Promise<number>;
  /** gpt2_run on this thread. */
  runHere(...run: NativeRun): number;
  peakFlops(team: unknown): Promise<number>;
  /** Each ConvertJob of native/op.h as nine int64; on a thread of its own. */
  convert(team: unknown, jobs: BigInt64Array, count: number): Promise<number>;
  /** Of a pointer, or of an array's contents. */
  address(pointer: unknown): bigint;
  view(pointer: unknown, bytes: number): ArrayBuffer;
}

let loaded: NativeLibrary | undefined;

/** @throws {BackendError} the library was not built, or is of another version. */
export function nativeLibrary(): NativeLibrary {
  loaded ??= load();
  return loaded;
}

function load(): NativeLibrary {
  const path = libraryPath();
  const hint = "Run `npm run build` in the package's folder, with a C compiler installed, to build it";
  if (!existsSync(path)) throw new BackendError({ op: "native backend", got: "no compiled kernels", hint });
  let koffi: typeof import("koffi");
  let lib: ReturnType<typeof koffi.load>;
  try {
    koffi = requireKoffi();
    lib = koffi.load(path);
  } catch (cause) {
    throw new BackendError({ op: `native backend: loading ${path}`, got: String(cause), hint, cause });
  }
  const version = lib.func("int32_t gpt2_version()")() as number;
  if (version !== KERNELS_VERSION) {
    const expected = `kernels of version ${KERNELS_VERSION}`;
    throw new BackendError({ op: `native backend: ${path}`, expected, got: `${version}`, hint });
  }
  const run = lib.func(
    "int32_t gpt2_run(void *team, void *ops, int64_t n_ops, void *dims, void *scalars, void *seconds)",
  );
  const peakFlops = lib.func("double gpt2_peak_flops(void *team)");
  const convert = lib.func("int32_t gpt2_convert(void *team, void *jobs, int64_t count)");
  const later = <T>(fn: typeof run, ...args: unknown[]): Promise<T> =>
    new Promise((resolve, reject) => {
      fn.async(...args, (error: unknown, result: T) => (error ? reject(error) : resolve(result)));
    });
  return {
    hasIsa: lib.func("int32_t gpt2_has_isa(const char *isa)"),
    bestIsa: lib.func("const char *gpt2_best_isa()"),
    alloc: lib.func("void *gpt2_alloc(int64_t bytes)"),
    free: lib.func("void gpt2_free(void *p, int64_t bytes)"),
    map: lib.func("void *gpt2_map(const char *path, void *size)"),
    unmap: lib.func("void gpt2_unmap(void *p, int64_t size)"),
    forget: lib.func("void gpt2_forget(intptr_t p, int64_t bytes)"),
    team: lib.func("void *gpt2_team(int32_t threads, const char *isa)"),
    teamFree: lib.func("void gpt2_team_free(void *team)"),
    run: (...args) => later(run, ...args),
    runHere: run as unknown as NativeLibrary["runHere"],
    peakFlops: (team) => later(peakFlops, team),
    convert: (team, jobs, count) => later(convert, team, jobs, count),
    address: (pointer) => koffi.address(pointer),
    view: (pointer, bytes) => koffi.view(pointer, bytes),
  };
}
