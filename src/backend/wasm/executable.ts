import { planMemory } from "../../program/plan.js";
import { type BufferDecl, type Program, type RunValues, resolveRun } from "../../program/program.js";
import type { Bindings, Executable, PrepareOptions } from "../backend.js";
import { boundArray, capturedBuffer } from "../bound-buffers.js";
import { encodeProgram } from "../native/encode.js";
import { WasmArray } from "./array.js";
import { addressIn, type Block, type Code, type Machine } from "./machine.js";

export class WasmExecutable implements Executable {
  readonly program: Program;
  readonly tempBytes: number;
  opSeconds: Float64Array | undefined;
  readonly #machine: Machine;
  readonly #code: Code;
  readonly #arena: Block;
  readonly #offsets: ReadonlyMap<BufferDecl, number>;
  readonly #captures: ReadonlySet<string>;

  constructor(machine: Machine, program: Program, bindings: Bindings, options: PrepareOptions) {
    this.#machine = machine;
    this.program = program;
    this.#captures = new Set(options.capture);
    const arrays = new Map<BufferDecl, WasmArray>();
    for (const buffer of program.buffers) {
      if (buffer.external) arrays.set(buffer, boundArray(program, buffer, bindings, "wasm", WasmArray));
    }
    const plan = planMemory(program, 4, this.#captures);
    this.#arena = machine.alloc(plan.bytes);
    this.#offsets = plan.offsets;
    this.tempBytes = plan.bytes;
    const blocks = [...new Set([this.#arena, ...[...arrays.values()].map((array) => array.block)])];
    const numbers = new Map(blocks.map((block, i) => [block, i]));
    const ops = encodeProgram(program, (buffer) => {
      const array = arrays.get(buffer);
      if (array) return addressIn(numbers.get(array.block)!, array.byteOffset);
      return addressIn(0, plan.offsets.get(buffer) ?? 0);
    });
    this.#code = machine.load(ops, blocks);
  }

  async run(values: RunValues = {}): Promise<void> {
    const { dims, scalars } = resolveRun(this.program, values);
    const timed = this.opSeconds;
    const seconds = await this.#machine.run(
      this.#code,
      { dims: BigInt64Array.from(dims, BigInt), scalars: Float64Array.from(scalars) },
      timed !== undefined,
    );
    if (timed) for (const [i, s] of seconds!.entries()) timed[i]! += s;
  }

  timeOps(on: boolean): void {
    this.opSeconds = on ? new Float64Array(this.program.ops.length) : undefined;
  }

  captured(name: string): WasmArray {
    const { buffer, offset } = capturedBuffer(this.program, this.#offsets, this.#captures, name);
    return new WasmArray(buffer.dtype, this.#arena, offset, buffer.size);
  }
}
