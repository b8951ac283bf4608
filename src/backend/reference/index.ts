import type { DType } from "../../dtype/dtype.js";
import { DisposedError, ShapeError } from "../../errors.js";
import type { Program } from "../../program/program.js";
import { checkOptionNames } from "../../util/nearest.js";
import type { Backend, Bindings, Capabilities, DeviceArray, Executable, PrepareOptions } from "../backend.js";
import { RunQueue } from "../run-queue.js";
import { allocate, bytesOf, MAX_BYTES, type Precision, ReferenceArray, ReferenceMemory, viewOf } from "./array.js";
import { ReferenceExecutable } from "./executable.js";

export interface ReferenceOptions {
  /** "f64" holds every "f32" tensor in a Float64Array. Default "f32". */
  readonly precision?: Precision;
}

class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly description: string;
  readonly capabilities: Capabilities = {
    threads: 1,
    maxArrayBytes: MAX_BYTES,
    lazyMemory: false,
    mappedFiles: false,
    inPlaceTypes: [],
    peak: false,
    fastBf16: false,
    bf16OverIntegers: false,
  };
  readonly #precision: Precision;
  readonly #queue = new RunQueue("reference backend");

  constructor(precision: Precision) {
    this.#precision = precision;
    this.description = `reference (TypeScript, ${precision})`;
  }

  alloc(dtype: DType, length: number): DeviceArray {
    this.#checkAlive("allocating an array");
    if (!Number.isInteger(length) || length < 0) {
      throw new ShapeError({ op: "allocating an array", expected: "a length in whole elements", got: String(length) });
    }
    const memory = allocate("allocating an array", bytesOf(dtype, length, this.#precision));
    const host = viewOf(memory, 0, length, dtype, this.#precision);
    return new ReferenceArray(dtype, new ReferenceMemory(this.#queue), host, length);
  }

  async prepare(program: Program, bindings: Bindings, options: PrepareOptions = {}): Promise<Executable> {
    this.#checkAlive(`preparing program ${program.name}`);
    return new ReferenceExecutable(this.#queue, this.#precision, program, bindings, options.capture ?? []);
  }

  async dispose(): Promise<void> {
    await this.#queue.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #checkAlive(op: string): void {
    if (this.#queue.closed) throw new DisposedError(op, "reference backend");
  }
}

/** The oracle for all other backends: one plain loop nest per operation, never optimized, in any JavaScript runtime. */
export async function referenceBackend(options: ReferenceOptions = {}): Promise<Backend> {
  checkOptionNames("reference backend", options, { precision: true });
  const { precision = "f32" } = options;
  return new ReferenceBackend(precision);
}
