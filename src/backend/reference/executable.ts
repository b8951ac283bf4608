import { roundActivations } from "../../dtype/blocks.js";
import { decodeValues, hostIndex, isIntegerType, isPacked } from "../../dtype/dtype.js";
import { GPT2Error, ShapeError, UsageError } from "../../errors.js";
import { type OpNumber, specOf } from "../../program/ops.js";
import { type MemoryPlan, planMemory } from "../../program/plan.js";
import {
  type BufferDecl,
  maxSize,
  type Op,
  type Program,
  type RunValues,
  resolveRun,
  type Tensor,
} from "../../program/program.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { type Bindings, bindingOf, type DeviceArray, type Executable, type HostArray } from "../backend.js";
import { allocate, bytesPerElement, type Precision, ReferenceArray, viewOf } from "./array.js";
import { KERNELS } from "./kernels.js";

/** A kernel as the executable calls it: the roles, dimensions and scalars by name, in the table's spelling. */
type AnyKernel = (
  tensors: Readonly<Record<string, HostArray | undefined>>,
  dims: Readonly<Record<string, number>>,
  scalars: Readonly<Record<string, OpNumber<number>>>,
) => void;

interface BoundOp {
  readonly op: Op;
  readonly views: Readonly<Record<string, HostArray | undefined>>;
  /** Temporaries that this op is the first to use. */
  readonly fresh: readonly HostArray[];
}

/** The longest that the event loop waits between two ops, in milliseconds. */
const TURN = 10;

/** What the backend lends to its executables. */
export interface ReferenceHost {
  readonly precision: Precision;
  /** Runs `job` after all jobs handed over before it. */
  enqueue(job: () => Promise<void>): Promise<void>;
  idle(): Promise<void>;
}

export class ReferenceExecutable implements Executable {
  readonly program: Program;
  readonly tempBytes: number;
  readonly #host: ReferenceHost;
  readonly #memory = new Map<BufferDecl, HostArray>();
  readonly #ops: readonly BoundOp[];
  readonly #capture: ReadonlySet<string>;
  opSeconds: Float64Array | undefined;

  constructor(host: ReferenceHost, program: Program, bindings: Bindings, capture: readonly string[]) {
    this.#host = host;
    this.program = program;
    this.#capture = new Set(capture);
    const plan = planMemory(program, bytesPerElement(host.precision), this.#capture);
    this.tempBytes = plan.bytes;
    this.#bindExternals(bindings);
    this.#placeTemporaries(plan);
    for (const name of capture) this.#captured(name);
    this.#ops = this.#bindOps();
  }

  #bindExternals(bindings: Bindings): void {
    const { precision } = this.#host;
    for (const buffer of this.program.buffers) {
      if (!buffer.external) continue;
      const array = bindingOf(bindings, buffer.name);
      const kind = viewOf(new ArrayBuffer(0), 0, 0, buffer.dtype, precision).constructor;
      if (array?.host instanceof kind && array.length >= buffer.size && array.dtype === buffer.dtype) {
        this.#memory.set(buffer, array.host);
        continue;
      }
      throw new ShapeError({
        op: `program ${this.program.name}: binding ${buffer.name}`,
        expected: `${buffer.size} elements in a ${kind.name} of this backend`,
        got: array ? `${array.length} elements in ${array.host?.constructor.name ?? "other memory"}` : "nothing",
      });
    }
  }

  #placeTemporaries(plan: MemoryPlan): void {
    const arena = allocate(`program ${this.program.name}: temporary memory`, plan.bytes);
    for (const [buffer, offset] of plan.offsets) {
      this.#memory.set(buffer, viewOf(arena, offset, buffer.size, buffer.dtype, this.#host.precision));
    }
  }

  #bindOps(): BoundOp[] {
    const seen = new Set<BufferDecl>();
    return this.program.ops.map((op) => {
      const roles = Object.keys(specOf(op.kind).tensors);
      const fresh: HostArray[] = [];
      for (const t of op.tensors) {
        if (!t || t.buffer.external || seen.has(t.buffer)) continue;
        seen.add(t.buffer);
        fresh.push(this.#memory.get(t.buffer)!);
      }
      return { op, fresh, views: record(roles, (i) => this.#view(op.tensors[i]!)) };
    });
  }

  #view(t: Tensor | null): HostArray | undefined {
    if (!t) return undefined;
    const { dtype } = t.buffer;
    const end = t.offset + maxSize(t.shape);
    return this.#memory.get(t.buffer)!.subarray(hostIndex(dtype, t.offset), hostIndex(dtype, end));
  }

  async run(values: RunValues = {}): Promise<void> {
    const { dims, scalars } = resolveRun(this.program, values);
    const dimsByName = new Map(this.program.syms.map((sym, i) => [sym.name, dims[i]!]));
    const scalarsByName = new Map(this.program.scalars.map((name, i) => [name, scalars[i]!]));
    await this.#host.enqueue(() => this.#execute(dimsByName, scalarsByName));
  }

  async #execute(dims: ReadonlyMap<string, number>, scalars: ReadonlyMap<string, number>): Promise<void> {
    let turn = performance.now();
    for (const [i, { op, views, fresh }] of this.#ops.entries()) {
      // A temporary holds nothing at first; NaN shows at once where a Program relies on what another left there.
      for (const view of fresh) view.fill(view instanceof Int32Array ? -(2 ** 31) : Number.NaN);
      const spec = specOf(op.kind);
      const opDims = record(spec.dims, (i) => {
        const dim = op.dims[i]!;
        return typeof dim === "number" ? dim : dims.get(dim.name)!;
      });
      const opScalars = record(Object.keys(spec.scalars), (i) => {
        const number = op.scalars[i]!;
        return typeof number === "object" ? scalars.get(number.scalar)! : number;
      });
      const start = performance.now();
      try {
        (KERNELS[op.kind] as unknown as AnyKernel)(unpacked(op, views), opDims, opScalars);
      } catch (error) {
        throw inContext(error, `program ${this.program.name}: ${op.name} (${op.kind})`);
      }
      const end = performance.now();
      if (this.opSeconds) this.opSeconds[i] += (end - start) / 1000;
      if (end - turn > TURN) {
        await yieldToEventLoop();
        turn = performance.now();
      }
    }
  }

  timeOps(on: boolean): void {
    this.opSeconds = on ? new Float64Array(this.program.ops.length) : undefined;
  }

  captured(name: string): DeviceArray {
    if (!this.#capture.has(name)) {
      throw new UsageError({
        op: `program ${this.program.name}: captured ${name}`,
        expected: this.#capture.size === 0 ? "capture given to prepare" : `one of ${[...this.#capture].join(", ")}`,
      });
    }
    return this.#captured(name);
  }

  #captured(name: string): DeviceArray {
    for (const [buffer, host] of this.#memory) {
      if (buffer.name === name) return new ReferenceArray(buffer.dtype, host, buffer.size, () => this.#host.idle());
    }
    throw new UsageError({
      op: `program ${this.program.name}: capture ${name}`,
      expected: "a buffer that its ops use",
    });
  }
}

/** The views with packed weights as the numbers they stand for, and activations as integer products see them. */
function unpacked(op: Op, views: BoundOp["views"]): BoundOp["views"] {
  if (!op.tensors.some((t) => t && isPacked(t.buffer.dtype))) return views;
  const result = { ...views };
  Object.keys(specOf(op.kind).tensors).forEach((role, i) => {
    const t = op.tensors[i];
    if (!t || !isPacked(t.buffer.dtype)) return;
    const values = new Float32Array(maxSize(t.shape));
    decodeValues(t.buffer.dtype, views[role] as Uint8Array, values);
    result[role] = values;
    if (op.kind !== "linearForward" || !isIntegerType(t.buffer.dtype)) return;
    const x = views.x!.slice() as Float32Array | Float64Array;
    roundActivations(x);
    result.x = x;
  });
  return result;
}

function record<T>(names: readonly string[], value: (index: number) => T): Record<string, T> {
  return Object.fromEntries(names.map((name, i) => [name, value(i)]));
}

function inContext(error: unknown, context: string): unknown {
  if (!(error instanceof GPT2Error)) return error;
  return new ShapeError({ ...error.details, op: `${context}: ${error.details.op}`, cause: error });
}
