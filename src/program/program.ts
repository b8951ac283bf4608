import { DTYPES, type DType, isPacked, type PackedType } from "../dtype/dtype.js";
import { GPT2Error, ShapeError } from "../errors.js";
import type { KernelPath } from "./kernel-paths.js";
import { extentOf, isWritten, type OpSpec, type OpTensor } from "./op-spec.js";
import { type DimArgs, type OpKind, type OpNumber, type ScalarArgs, specOf, type TensorArgs } from "./ops.js";

/**
 * A Program is a flat list of operations over named buffers: recorded once for a purpose (a training step, a prefill, a
 * decode step), run many times, by any backend. It computes nothing itself. Everything that changes from run to run is kept
 * outside: the sizes named by a {@link Sym}, the numbers named by a {@link ScalarRef}, and the contents of external buffers.
 */
/** A size that is set at each run, up to `max`, for which memory is planned. */
export interface Sym {
  readonly name: string;
  readonly max: number;
}
export type Dim = number | Sym;

/** A number that is set at each run. */
export interface ScalarRef {
  readonly scalar: string;
}
export type Scalar = number | ScalarRef;

/** A contiguous block of memory. External ones are bound when the Program is prepared; the rest are planned. */
export interface BufferDecl {
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  /** Number of elements, with every Sym at its maximum. */
  readonly size: number;
  readonly external: boolean;
}

/** A row-major array inside a buffer, from element `offset`. */
export interface Tensor {
  readonly buffer: BufferDecl;
  readonly offset: number;
  readonly shape: readonly Dim[];
}

export interface Op {
  readonly kind: OpKind;
  /** Its place in the model: `h.3.attn.c_attn`. */
  readonly name: string;
  /** Tensors in the order of the op's table entry; null where an optional one is absent. */
  readonly tensors: readonly (Tensor | null)[];
  readonly dims: readonly Dim[];
  readonly scalars: readonly OpNumber<Scalar>[];
}

export interface Program {
  readonly name: string;
  readonly ops: readonly Op[];
  readonly buffers: readonly BufferDecl[];
  readonly syms: readonly Sym[];
  readonly scalars: readonly string[];
}

export const maxOf = (d: Dim): number => (typeof d === "number" ? d : d.max);

/** Number of elements of a tensor of this shape, with every Sym at its maximum. */
export const maxSize = (shape: readonly Dim[]): number => shape.reduce<number>((n, d) => n * maxOf(d), 1);

/** The rows [start, start + count) of a tensor, without copying. */
export function rowsOf(t: Tensor, start: number, count: Dim): Tensor {
  const [, ...rest] = t.shape;
  return { buffer: t.buffer, offset: t.offset + start * maxSize(rest), shape: [count, ...rest] };
}

/** The same memory from element `offset` on, for operations that take a row length. */
export function at(t: Tensor, offset: number): Tensor {
  return { ...t, offset: t.offset + offset };
}

/** Records a Program, op by op. */
export class Recorder {
  readonly #name: string;
  readonly #path: KernelPath;
  readonly #ops: Op[] = [];
  readonly #buffers: BufferDecl[] = [];
  readonly #byName = new Map<string, BufferDecl>();
  readonly #syms = new Map<string, Sym>();
  readonly #scalars = new Set<string>();
  readonly #written = new Set<BufferDecl>();

  /** @param path for operations that have a path and do not set one */
  constructor(name: string, path: KernelPath = "auto") {
    this.#name = name;
    this.#path = path;
  }

  /** A size that each run may choose, from 0 to `max`. */
  sym(name: string, max: number): Sym {
    const sym = { name, max };
    if (this.#syms.has(name)) throw this.#declaredTwice(`size ${name}`);
    this.#syms.set(name, sym);
    return sym;
  }

  /** A number that each run sets. */
  scalar(name: string): ScalarRef {
    this.#scalars.add(name);
    return { scalar: name };
  }

  /** Memory that the caller binds: parameters, inputs, outputs, caches. */
  external(name: string, shape: readonly Dim[], dtype: DType = "f32"): Tensor {
    return this.#declare(name, shape, dtype, true);
  }

  /** Memory that lives from its first use in the Program to its last. */
  temp(name: string, shape: readonly Dim[], dtype: "f32" | "i32" = "f32"): Tensor {
    return this.#declare(name, shape, dtype, false);
  }

  #declare(name: string, shape: readonly Dim[], dtype: DType, external: boolean): Tensor {
    if (this.#byName.has(name)) throw this.#declaredTwice(`buffer ${name}`);
    const buffer: BufferDecl = { id: this.#buffers.length, name, dtype, size: maxSize(shape), external };
    this.#buffers.push(buffer);
    this.#byName.set(name, buffer);
    return { buffer, offset: 0, shape };
  }

  #declaredTwice(what: string): ShapeError {
    return new ShapeError({ op: `program ${this.#name}: ${what}`, expected: "one declaration", got: "a second" });
  }

  /** Appends one operation. */
  op<K extends OpKind>(
    kind: K,
    name: string,
    tensors: TensorArgs<K, Tensor>,
    dims: DimArgs<K, Dim>,
    scalars: ScalarArgs<K, Scalar>,
  ): void {
    const spec = specOf(kind);
    const op = `${kind} ${name}`;
    const list = bindTensors(op, spec, tensors as Record<string, Tensor | undefined>);
    const maxDims = Object.fromEntries(Object.entries<Dim>(dims).map(([d, size]) => [d, maxOf(size)]));
    for (const { role, tensor, at } of list) {
      if (at) checkTensor(`${op}: ${role} (${at.buffer.name})`, tensor, at, extentOf(tensor, maxDims));
    }
    checkOverlaps(op, spec, list);
    this.#checkReadsAfterWrites(op, list);
    this.#ops.push({
      kind,
      name,
      tensors: list.map(({ at }) => at),
      dims: spec.dims.map((d) => (dims as Record<string, Dim>)[d]!),
      scalars: Object.entries(spec.scalars).map(([s, kind]) => {
        const given = (scalars as Record<string, OpNumber<Scalar> | undefined>)[s];
        return given ?? (kind === "path" ? this.#path : false);
      }),
    });
  }

  /** A temporary must be written before an op only reads it. (An update in place may be its first use.) */
  #checkReadsAfterWrites(op: string, list: readonly Argument[]): void {
    for (const { role, tensor, at } of list) {
      if (!at || isWritten(tensor) || at.buffer.external || this.#written.has(at.buffer)) continue;
      throw new ShapeError({
        op,
        expected: `${role} (${at.buffer.name}) written before it is read`,
        got: "a read first",
      });
    }
    for (const { tensor, at } of list) if (at && isWritten(tensor)) this.#written.add(at.buffer);
  }

  build(): Program {
    return {
      name: this.#name,
      ops: this.#ops,
      buffers: this.#buffers,
      syms: [...this.#syms.values()],
      scalars: [...this.#scalars],
    };
  }
}

/** A tensor of an op's entry and its argument; null for an absent optional one. */
interface Argument {
  readonly role: string;
  readonly tensor: OpTensor;
  readonly at: Tensor | null;
}

/** The argument tensors in the order of the op's entry. */
function bindTensors(op: string, spec: OpSpec, given: Readonly<Record<string, Tensor | undefined>>): Argument[] {
  return Object.entries(spec.tensors).map(([role, tensor]) => {
    const at = given[role] ?? null;
    if (!at && !tensor.optional) throw new ShapeError({ op, expected: `a tensor for ${role}`, got: "none" });
    return { role, tensor, at };
  });
}

/** Checks that a tensor has its role's dtype and, with every Sym at its maximum, holds the elements that the op touches. */
function checkTensor(op: string, { dtype }: OpTensor, t: Tensor, extent: number): void {
  if (dtype === "weight" && isPacked(t.buffer.dtype)) {
    checkBlocks(op, t.buffer.dtype, t);
  } else if (dtype !== "cached" || t.buffer.dtype !== "f16") {
    const expected = dtype === "i32" ? "i32" : "f32";
    if (t.buffer.dtype !== expected) throw new ShapeError({ op, expected, got: t.buffer.dtype });
  }
  const there = Math.min(maxSize(t.shape), t.buffer.size - t.offset);
  if (t.offset >= 0 && there >= extent) return;
  throw new ShapeError({ op, expected: `${extent} elements`, got: `${there} from offset ${t.offset} on` });
}

/** Checks that a row of packed weights consists of whole blocks. */
function checkBlocks(op: string, dtype: PackedType, { offset, shape }: Tensor): void {
  const { block } = DTYPES[dtype];
  const row = maxOf(shape.at(-1)!);
  if (row % block === 0 && offset % block === 0) return;
  throw new ShapeError({ op, expected: `rows of a multiple of ${block} ${dtype}`, got: `${row} from ${offset} on` });
}

/**
 * Checks that no written tensor starts where another does, unless the op may work in place. (Other overlaps are not
 * found: rows of one tensor may well lie between rows of another.)
 */
function checkOverlaps(op: string, { inPlace = [] }: OpSpec, list: readonly Argument[]): void {
  for (const { role, tensor, at } of list) {
    if (!at || !isWritten(tensor)) continue;
    for (const { role: other, at: there } of list) {
      if (role === other || there?.buffer !== at.buffer || there.offset !== at.offset) continue;
      if (inPlace.some(([w, r]) => (w === role && r === other) || (w === other && r === role))) continue;
      throw new ShapeError({
        op: `${op}: ${role} (${at.buffer.name})`,
        expected: "memory of its own",
        got: `the memory of ${other}`,
      });
    }
  }
}

/** The sizes and numbers of one run. */
export interface RunValues {
  readonly dims?: Readonly<Record<string, number>>;
  readonly scalars?: Readonly<Record<string, number>>;
}

/** Checks one run's sizes and numbers, and returns them in the Program's order. */
export function resolveRun(program: Program, values: RunValues): { dims: number[]; scalars: number[] } {
  const dims = program.syms.map((sym) => {
    const value = values.dims?.[sym.name];
    if (value === undefined || !Number.isInteger(value) || value < 0 || value > sym.max) {
      throw new ShapeError({
        op: `program ${program.name}: size ${sym.name}`,
        expected: `an integer from 0 to ${sym.max}`,
        got: String(value),
      });
    }
    return value;
  });
  const scalars = program.scalars.map((name) => {
    const value = values.scalars?.[name];
    if (value === undefined) {
      throw new GPT2Error({
        op: `program ${program.name}: number ${name}`,
        expected: "a value for this run",
        got: "none",
      });
    }
    return value;
  });
  return { dims, scalars };
}
