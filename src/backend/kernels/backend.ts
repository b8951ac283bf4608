import { byteLength, type DType } from "../../dtype/dtype.js";
import { DisposedError, ShapeError } from "../../errors.js";
import type { Program } from "../../program/program.js";
import type { Backend, Bindings, Capabilities, Executable, PrepareOptions } from "../backend.js";
import { KernelArray } from "./array.js";
import { KernelExecutable } from "./executable.js";
import type { Machine } from "./machine.js";

/** The common part of backends on compiled kernels. */
export abstract class KernelBackend implements Backend {
  abstract readonly name: string;
  abstract readonly description: string;
  abstract readonly capabilities: Capabilities;
  readonly #machine: Machine;
  #disposed: Promise<void> | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  alloc(dtype: DType, length: number): KernelArray {
    this.checkAlive("allocating an array");
    if (!Number.isInteger(length) || length < 0) {
      throw new ShapeError({ op: "allocating an array", expected: "a length in whole elements", got: String(length) });
    }
    return new KernelArray(this.#machine, dtype, this.#machine.alloc(byteLength(dtype, length)), 0, length);
  }

  async prepare(program: Program, bindings: Bindings, options: PrepareOptions = {}): Promise<Executable> {
    this.checkAlive(`preparing program ${program.name}`);
    return new KernelExecutable(this.#machine, this.name, program, bindings, options);
  }

  async peakFlops(): Promise<number> {
    this.checkAlive("measuring the peak");
    return this.#machine.peakFlops();
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.#machine.dispose();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  protected checkAlive(op: string): void {
    if (this.#disposed) throw new DisposedError(op, `${this.name} backend`);
  }
}
