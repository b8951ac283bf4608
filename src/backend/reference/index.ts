import type { DType } from "../../dtype/dtype.js";
import { ShapeError } from "../../errors.js";
import type { Program } from "../../program/program.js";
import type { Backend, Bindings, DeviceArray, Executable, PrepareOptions } from "../backend.js";
import { allocate, bytesOf, type Precision, ReferenceArray, viewOf } from "./array.js";
import { ReferenceExecutable, type ReferenceHost } from "./executable.js";

export interface ReferenceOptions {
  /** "f64" holds every "f32" tensor in a Float64Array. Default "f32". */
  readonly precision?: Precision;
}

class ReferenceBackend implements Backend, ReferenceHost {
  readonly name = "reference";
  readonly description: string;
  #last: Promise<void> = Promise.resolve();

  constructor(readonly precision: Precision) {
    this.description = `reference (TypeScript, ${precision})`;
  }

  alloc(dtype: DType, length: number): DeviceArray {
    if (!Number.isInteger(length) || length < 0) {
      throw new ShapeError({ op: "device memory", expected: "a length in whole elements", got: String(length) });
    }
    const memory = allocate("device memory", bytesOf(dtype, length, this.precision));
    return new ReferenceArray(dtype, viewOf(memory, 0, length, dtype, this.precision), length, () => this.idle());
  }

  prepare(program: Program, bindings: Bindings, options: PrepareOptions = {}): Executable {
    return new ReferenceExecutable(this, program, bindings, options.capture ?? []);
  }

  enqueue(job: () => Promise<void>): Promise<void> {
    const done = this.#last.then(job);
    // A run that fails does not stop those behind it.
    this.#last = done.catch(() => {});
    return done;
  }

  idle(): Promise<void> {
    return this.#last;
  }
}

/** The oracle of all other backends: one plain loop nest per operation, never optimised, in any JavaScript runtime. */
export function referenceBackend({ precision = "f32" }: ReferenceOptions = {}): Backend {
  return new ReferenceBackend(precision);
}
