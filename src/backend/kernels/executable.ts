import { checkIndices, type IndexCheck, indexChecks } from "../../program/index-checks.js";
import { planMemory } from "../../program/plan.js";
import { type BufferDecl, type Dim, type Program, type RunValues, resolveRun } from "../../program/program.js";
import type { Bindings, DeviceArray, Executable, PrepareOptions } from "../backend.js";
import { boundArray, capturedBuffer, checkUsable } from "../bound-buffers.js";
import { KernelArray } from "./array.js";
import type { Block, Code, Machine } from "./machine.js";

/** A Program loaded into a machine. */
export class KernelExecutable implements Executable {
  readonly program: Program;
  readonly tempBytes: number;
  opSeconds: Float64Array | undefined;
  readonly #machine: Machine;
  readonly #code: Code;
  readonly #arena: Block;
  readonly #offsets: ReadonlyMap<BufferDecl, number>;
  readonly #captures: ReadonlySet<string>;
  readonly #checks: readonly IndexCheck[];
  /** The bound arrays needed by the checks. */
  readonly #indices: ReadonlyMap<BufferDecl, KernelArray>;
  /** All memory that the ops use; the reference keeps it from being garbage-collected. */
  readonly #blocks: ReadonlySet<Block>;
  #disposed = false;

  /** @param backend the name for errors */
  constructor(machine: Machine, backend: string, program: Program, bindings: Bindings, options: PrepareOptions) {
    this.#machine = machine;
    this.program = program;
    this.#captures = new Set(options.capture);
    const isOwn = (array: DeviceArray): array is KernelArray =>
      array instanceof KernelArray && array.machine === machine;
    const arrays = new Map<BufferDecl, KernelArray>();
    for (const buffer of program.buffers) {
      if (buffer.external) arrays.set(buffer, boundArray(program, buffer, bindings, backend, isOwn));
    }
    this.#checks = indexChecks(program);
    this.#indices = new Map([...arrays].filter(([{ dtype }]) => dtype === "i32"));
    const plan = planMemory(program, Float32Array.BYTES_PER_ELEMENT, this.#captures);
    for (const name of this.#captures) capturedBuffer(program, plan.offsets, this.#captures, name);
    this.#arena = machine.alloc(plan.bytes);
    this.#offsets = plan.offsets;
    this.tempBytes = plan.bytes;
    this.#blocks = new Set([this.#arena, ...[...arrays.values()].map((array) => array.block)]);
    this.#checkAlive("preparing");
    this.#code = machine.load(program, (buffer) => {
      const array = arrays.get(buffer);
      if (array) return { block: array.block, offset: array.byteOffset };
      return { block: this.#arena, offset: plan.offsets.get(buffer) ?? 0 };
    });
  }

  async run(values: RunValues = {}): Promise<void> {
    const { dims, scalars } = resolveRun(this.program, values);
    this.#checkAlive("running");
    const sizeOf = (dim: Dim): number => (typeof dim === "number" ? dim : dims[this.program.syms.indexOf(dim)]!);
    checkIndices(this.program, this.#checks, sizeOf, (buffer) => this.#indices.get(buffer)!.indices);
    const encoded = { dims: BigInt64Array.from(dims, BigInt), scalars: Float64Array.from(scalars) };
    await this.#machine.run(this.#code, encoded, this.opSeconds);
  }

  timeOps(on: boolean): void {
    this.opSeconds = on ? new Float64Array(this.program.ops.length) : undefined;
  }

  captured(name: string): KernelArray {
    this.#checkAlive("reading a captured buffer of");
    const { buffer, place } = capturedBuffer(this.program, this.#offsets, this.#captures, name);
    return new KernelArray(this.#machine, buffer.dtype, this.#arena, place, buffer.size);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#code.dispose();
    this.#arena.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(doing: string): void {
    checkUsable(`${doing} program ${this.program.name}`, this.#disposed, this.#blocks);
  }
}
