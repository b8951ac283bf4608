import { ShapeError } from "../../errors.js";
import { planMemory } from "../../program/plan.js";
import { type BufferDecl, type Program, type RunValues, resolveRun } from "../../program/program.js";
import { type Bindings, bindingOf, type DeviceArray, type Executable, type PrepareOptions } from "../backend.js";
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
      if (buffer.external) arrays.set(buffer, checkBinding(program, buffer, bindingOf(bindings, buffer.name)));
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
    const buffer = this.program.buffers.find((b) => b.name === name && !b.external);
    const offset = buffer && this.#offsets.get(buffer);
    if (!buffer || offset === undefined || !this.#captures.has(name)) {
      throw new ShapeError({
        op: `captured buffer ${name}`,
        expected: [...this.#captures].join(", ") || "none was asked for",
      });
    }
    return new WasmArray(buffer.dtype, this.#arena, offset, buffer.size);
  }
}

function checkBinding(program: Program, buffer: BufferDecl, array: DeviceArray | undefined): WasmArray {
  const op = `program ${program.name}: buffer ${buffer.name}`;
  if (!(array instanceof WasmArray)) {
    throw new ShapeError({ op, expected: "an array of the wasm backend", got: array ? "another backend's" : "none" });
  }
  if (array.length < buffer.size || array.dtype !== buffer.dtype) {
    throw new ShapeError({ op, expected: `${buffer.size} ${buffer.dtype}`, got: `${array.length} ${array.dtype}` });
  }
  return array;
}
