import type { MappedFile, MappedRange } from "../../checkpoint/byte-source.js";
import { DTYPES, type WeightType } from "../../dtype/dtype.js";
import { BackendError, UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { defaultThreads, usableCpus } from "../../util/usable-cpus.js";
import type { Capabilities, DeviceArray } from "../backend.js";
import { KernelArray } from "../kernels/array.js";
import { KernelBackend } from "../kernels/backend.js";
import type { ConversionFailure, WeightConversion } from "../weight-conversion.js";
import { INSTRUCTION_SETS } from "./instruction-sets.js";
import { nativeLibrary } from "./library.js";
import { NativeMachine } from "./machine.js";
import { IN_PLACE_TYPES, MAX_ARRAY_BYTES, placeInFile } from "./memory.js";

export { nativeLibrary } from "./library.js";

export interface NativeOptions {
  /** Number of compute threads; default `GPT2_THREADS`, else as many as it may use processors. */
  readonly threads?: number;
  /** Instruction set: `amx-bf16`, `avx512-bf16`, `avx512-vnni`, `avx512`, `avx-vnni`, `avx2`, `baseline` (SSE2), `neon-bf16`, `neon-dotprod` or `neon`; by default `GPT2_ISA`, else the best this machine has. */
  readonly isa?: string;
}

/** Instruction sets that this machine can run, best first. */
export function nativeIsas(): string[] {
  const lib = nativeLibrary();
  const best = lib.bestIsa();
  const names = (INSTRUCTION_SETS[process.arch] ?? []).map(({ name }) => name).reverse();
  return [best, ...names.filter((isa) => isa !== best && lib.hasIsa(isa))];
}

/**
 * The C kernels on a team of native threads.
 *
 * @throws {BackendError} the kernels were not built, or the processor lacks the instruction set.
 * @throws {UsageError} an impossible number of threads.
 */
export async function nativeBackend(options: NativeOptions = {}): Promise<NativeBackend> {
  checkOptionNames("native backend", options, { threads: true, isa: true });
  const lib = nativeLibrary();
  const threads = threadCount(options.threads);
  const isa = options.isa ?? (process.env.GPT2_ISA || lib.bestIsa());
  if (!lib.hasIsa(isa)) {
    throw new BackendError({ op: "native backend: instruction set", expected: nativeIsas().join(" or "), got: isa });
  }
  const team = lib.team(threads, isa, threads <= usableCpus());
  if (!team) throw new BackendError({ op: "native backend", expected: `${threads} threads`, got: "fewer" });
  return new NativeBackend(new NativeMachine(team, threads), isa);
}

function threadCount(option: number | undefined): number {
  const env = process.env.GPT2_THREADS;
  const threads = option ?? (env ? Number(env) : defaultThreads());
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new UsageError({
      op: option === undefined ? "GPT2_THREADS" : "threads",
      expected: "an integer from 1 to 1024",
      got: String(option ?? env),
    });
  }
  return threads;
}

export class NativeBackend extends KernelBackend {
  readonly name = "native";
  readonly isa: string;
  readonly capabilities: Capabilities;
  readonly #machine: NativeMachine;

  constructor(machine: NativeMachine, isa: string) {
    super(machine);
    this.#machine = machine;
    this.isa = isa;
    this.capabilities = {
      threads: machine.threads,
      maxArrayBytes: MAX_ARRAY_BYTES,
      lazyMemory: true,
      mappedFiles: true,
      inPlaceTypes: IN_PLACE_TYPES,
      peak: true,
      fastBf16: isa.endsWith("bf16"),
      bf16OverIntegers: isa.startsWith("amx"),
    };
  }

  get description(): string {
    const { threads } = this.capabilities;
    return `native (${this.isa}, ${threads} thread${threads === 1 ? "" : "s"})`;
  }

  mapFile(path: string): MappedFile | undefined {
    try {
      return this.#machine.disposed ? undefined : this.#machine.mapFile(path);
    } catch {
      // Reading the file piece by piece still works, or gives a better error.
      return undefined;
    }
  }

  inPlace(dtype: WeightType, range: MappedRange): DeviceArray | undefined {
    const place = placeInFile(this.#machine, dtype, range);
    if (place === undefined) return undefined;
    const { block, bytes } = DTYPES[dtype];
    return new KernelArray(this.#machine, dtype, place.block, place.offset, (range.length / bytes) * block);
  }

  async convertWeights(conversions: readonly WeightConversion[]): Promise<ConversionFailure | undefined> {
    this.checkAlive("converting weights");
    return this.#machine.convertWeights(conversions);
  }
}
