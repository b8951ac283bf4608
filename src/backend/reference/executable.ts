import { roundActivations } from "../../dtype/blocks.js";
import { decodeValues, encodeValues, hostIndex, isIntegerType, isPacked } from "../../dtype/dtype.js";
import { GPT2Error, ShapeError } from "../../errors.js";
import { checkIndices, type IndexCheck, indexChecks } from "../../program/index-checks.js";
import { isWritten } from "../../program/op-spec.js";
import { type OpNumber, specOf } from "../../program/ops.js";
import { type MemoryPlan, planMemory } from "../../program/plan.js";
import {
  type BufferDecl,
  type Dim,
  maxSize,
  type Op,
  type Program,
  type RunValues,
  resolveRun,
  type Tensor,
} from "../../program/program.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import type { Bindings, DeviceArray, Executable, HostArray } from "../backend.js";
import { boundArray, capturedBuffer, checkUsable } from "../bound-buffers.js";
import type { RunQueue } from "../run-queue.js";
import { allocate, bytesPerElement, type Precision, ReferenceArray, ReferenceMemory, viewOf } from "./array.js";
import { KERNELS } from "./kernels.js";

/** A kernel as the executable calls it: tensors, dimensions and numbers by name, in the table's spelling. */
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

/** The longest time between two turns of the event loop, in milliseconds. */
const TIME_SLICE = 10;

export class ReferenceExecutable implements Executable {
  readonly program: Program;
  readonly tempBytes: number;
  readonly #queue: RunQueue;
  readonly #precision: Precision;
  readonly #checks: readonly IndexCheck[];
  /** The host array of every buffer of the Program. */
  readonly #hosts = new Map<BufferDecl, HostArray>();
  /** Memory of the temporary buffers. */
  readonly #arena: ReferenceMemory;
  readonly #memories: ReadonlySet<ReferenceMemory>;
  readonly #capture: ReadonlySet<string>;
  #ops: readonly BoundOp[];
  #disposed = false;
  opSeconds: Float64Array | undefined;

  constructor(queue: RunQueue, precision: Precision, program: Program, bindings: Bindings, capture: readonly string[]) {
    this.#queue = queue;
    this.#precision = precision;
    this.program = program;
    this.#capture = new Set(capture);
    this.#arena = new ReferenceMemory(queue);
    const plan = planMemory(program, bytesPerElement(precision), this.#capture);
    this.tempBytes = plan.bytes;
    this.#memories = new Set([this.#arena, ...this.#bindExternals(bindings)]);
    this.#placeTemporaries(plan);
    for (const name of capture) capturedBuffer(program, this.#hosts, this.#capture, name);
    this.#ops = this.#bindOps();
    this.#checks = indexChecks(program);
  }

  #bindExternals(bindings: Bindings): ReferenceMemory[] {
    const isOwn = (array: DeviceArray): array is ReferenceArray =>
      array instanceof ReferenceArray && array.memory.queue === this.#queue;
    return this.program.buffers
      .filter(({ external }) => external)
      .map((buffer) => {
        const { host, memory } = boundArray(this.program, buffer, bindings, "reference", isOwn);
        this.#hosts.set(buffer, host);
        return memory;
      });
  }

  #placeTemporaries(plan: MemoryPlan): void {
    const arena = allocate(`program ${this.program.name}: temporary memory`, plan.bytes);
    for (const [buffer, offset] of plan.offsets) {
      this.#hosts.set(buffer, viewOf(arena, offset, buffer.size, buffer.dtype, this.#precision));
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
        fresh.push(this.#hosts.get(t.buffer)!);
      }
      return { op, fresh, views: record(roles, (i) => this.#view(op.tensors[i]!)) };
    });
  }

  #view(t: Tensor | null): HostArray | undefined {
    if (!t) return undefined;
    const { dtype } = t.buffer;
    const end = t.offset + maxSize(t.shape);
    return this.#hosts.get(t.buffer)!.subarray(hostIndex(dtype, t.offset), hostIndex(dtype, end));
  }

  async run(values: RunValues = {}): Promise<void> {
    const { dims, scalars } = resolveRun(this.program, values);
    const dimsByName = new Map(this.program.syms.map((sym, i) => [sym.name, dims[i]!]));
    const scalarsByName = new Map(this.program.scalars.map((name, i) => [name, scalars[i]!]));
    this.#checkAlive("running");
    await this.#queue.add(() => this.#execute(dimsByName, scalarsByName));
  }

  async #execute(dims: ReadonlyMap<string, number>, scalars: ReadonlyMap<string, number>): Promise<void> {
    const sizeOf = (dim: Dim): number => (typeof dim === "number" ? dim : dims.get(dim.name)!);
    checkIndices(this.program, this.#checks, sizeOf, (buffer) => this.#hosts.get(buffer) as Int32Array);
    let sliceStart = performance.now();
    for (const [i, { op, views, fresh }] of this.#ops.entries()) {
      // A temporary is empty at first: filling it with NaN exposes Programs that rely on earlier contents.
      for (const view of fresh) view.fill(view instanceof Int32Array ? -(2 ** 31) : Number.NaN);
      const spec = specOf(op.kind);
      const opDims = record(spec.dims, (i) => sizeOf(op.dims[i]!));
      const opScalars = record(Object.keys(spec.scalars), (i) => {
        const number = op.scalars[i]!;
        return typeof number === "object" ? scalars.get(number.scalar)! : number;
      });
      const start = performance.now();
      try {
        const numbers = unpacked(op, views, Boolean(opScalars.bf16));
        (KERNELS[op.kind] as unknown as AnyKernel)(numbers, opDims, opScalars);
        pack(op, numbers, views);
      } catch (error) {
        throw inContext(error, `program ${this.program.name}: ${op.name} (${op.kind})`);
      }
      const end = performance.now();
      if (this.opSeconds) this.opSeconds[i] += (end - start) / 1000;
      if (end - sliceStart > TIME_SLICE) {
        await yieldToEventLoop();
        sliceStart = performance.now();
      }
    }
  }

  timeOps(on: boolean): void {
    this.opSeconds = on ? new Float64Array(this.program.ops.length) : undefined;
  }

  captured(name: string): DeviceArray {
    this.#checkAlive("reading a captured buffer of");
    const { buffer, place } = capturedBuffer(this.program, this.#hosts, this.#capture, name);
    return new ReferenceArray(buffer.dtype, this.#arena, place, buffer.size);
  }

  dispose(): void {
    this.#disposed = true;
    this.#arena.dispose();
    this.#queue.whenIdle(() => {
      this.#hosts.clear();
      this.#ops = [];
    });
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(doing: string): void {
    checkUsable(`${doing} program ${this.program.name}`, this.#disposed, this.#memories);
  }
}

/** The views with packed weights decoded to numbers, and activations rounded as for integer products. */
function unpacked(op: Op, views: BoundOp["views"], bf16: boolean): BoundOp["views"] {
  if (!op.tensors.some((t) => t && isPacked(t.buffer.dtype))) return views;
  const result = { ...views };
  Object.keys(specOf(op.kind).tensors).forEach((role, i) => {
    const t = op.tensors[i];
    if (!t || !isPacked(t.buffer.dtype)) return;
    const values = new Float32Array(maxSize(t.shape));
    decodeValues(t.buffer.dtype, views[role] as Uint8Array, values);
    result[role] = values;
    if (bf16 || !multipliesIntegers(op)) return;
    const x = views.x!.slice() as Float32Array | Float64Array;
    roundActivations(x);
    result.x = x;
  });
  return result;
}

/** Encodes a kernel's results in decoded views; f16 values are clamped to the largest number. */
function pack(op: Op, numbers: BoundOp["views"], views: BoundOp["views"]): void {
  Object.entries(specOf(op.kind).tensors).forEach(([role, tensor], i) => {
    const t = op.tensors[i];
    if (!t || !isWritten(tensor) || !isPacked(t.buffer.dtype)) return;
    const values = (numbers[role] as Float32Array).map((x) => Math.max(-LARGEST_F16, Math.min(LARGEST_F16, x)));
    encodeValues(t.buffer.dtype, values, views[role] as Uint8Array);
  });
}

const LARGEST_F16 = 65504;

/** Whether the products are integer products, unless they are in bf16. */
const multipliesIntegers = ({ kind, tensors }: Op): boolean =>
  kind === "linearForward" && tensors.some((t) => t !== null && isIntegerType(t.buffer.dtype));

function record<T>(names: readonly string[], value: (index: number) => T): Record<string, T> {
  return Object.fromEntries(names.map((name, i) => [name, value(i)]));
}

function inContext(error: unknown, context: string): unknown {
  if (!(error instanceof GPT2Error)) return error;
  return new ShapeError({ ...error.details, op: `${context}: ${error.details.op}`, cause: error });
}
