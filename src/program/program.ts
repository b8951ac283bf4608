import { DTYPES, type DType, isPacked } from "../dtype/dtype.js";
import { GPT2Error, ShapeError } from "../errors.js";
import { EXTENTS, INTEGER_ROLES, WEIGHT_ROLES } from "./extents.js";
import { type DimArgs, OPS, type OpKind, type OpSpec, type ScalarArgs, type TensorArgs } from "./ops.js";

/**
 * A Program is a flat list of operations over named buffers: recorded once for a purpose (a training step, a prefill, a
 * decode step), run many times, by any backend. It computes nothing itself. What changes from run to run is kept beside
 * it: the sizes named by a {@link Sym}, the numbers named by a {@link ScalarRef}, and the contents of external buffers.
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
  /** Elements, with every Sym at its maximum. */
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
  /** Where in the model it stands: `h.3.attn.c_attn`. */
  readonly name: string;
  /** In the order of the op's table entry; null where an optional one is absent. */
  readonly tensors: readonly (Tensor | null)[];
  readonly dims: readonly Dim[];
  readonly scalars: readonly Scalar[];
}

export interface Program {
  readonly name: string;
  readonly ops: readonly Op[];
  readonly buffers: readonly BufferDecl[];
  readonly syms: readonly Sym[];
  readonly scalars: readonly string[];
}

export const maxOf = (d: Dim): number => (typeof d === "number" ? d : d.max);

/** Elements of a tensor of this shape, every Sym at its maximum. */
export const maxSize = (shape: readonly Dim[]): number => shape.reduce<number>((n, d) => n * maxOf(d), 1);

/** The rows [start, start + count) of a tensor, without copying. */
export function rowsOf(t: Tensor, start: number, count: Dim): Tensor {
  const [, ...rest] = t.shape;
  return { buffer: t.buffer, offset: t.offset + start * maxSize(rest), shape: [count, ...rest] };
}

/** The same memory from `offset` elements on, for operations that take a row length of their own. */
export function at(t: Tensor, offset: number): Tensor {
  return { ...t, offset: t.offset + offset };
}

/** Records a Program, op by op. */
export class Recorder {
  readonly #name: string;
  readonly #ops: Op[] = [];
  readonly #buffers: BufferDecl[] = [];
  readonly #byName = new Map<string, BufferDecl>();
  readonly #syms = new Map<string, Sym>();
  readonly #scalars = new Set<string>();
  readonly #written = new Set<BufferDecl>();

  constructor(name: string) {
    this.#name = name;
  }

  /** A size that each run may choose, from 0 to `max`. */
  sym(name: string, max: number): Sym {
    const sym = { name, max };
    if (this.#syms.has(name)) throw new ShapeError({ op: `program ${this.#name}: size ${name} declared twice` });
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
    if (this.#byName.has(name)) throw new ShapeError({ op: `program ${this.#name}: buffer ${name} declared twice` });
    const buffer: BufferDecl = { id: this.#buffers.length, name, dtype, size: maxSize(shape), external };
    this.#buffers.push(buffer);
    this.#byName.set(name, buffer);
    return { buffer, offset: 0, shape };
  }

  /** Appends one operation. */
  op<K extends OpKind>(
    kind: K,
    name: string,
    tensors: TensorArgs<K, Tensor>,
    dims: DimArgs<K, Dim>,
    scalars: ScalarArgs<K, Scalar>,
  ): void {
    const spec: OpSpec = OPS[kind];
    const given = tensors as Record<string, Tensor | undefined>;
    const list = Object.entries(spec.tensors).map(([role, access]) => {
      const tensor = given[role];
      if (tensor === undefined) {
        if (!access.endsWith("?")) throw new ShapeError({ op: `${kind} ${name}`, expected: `a tensor for ${role}` });
        return null;
      }
      return tensor;
    });
    const maxDims = Object.fromEntries(Object.entries<Dim>(dims).map(([d, size]) => [d, maxOf(size)]));
    checkSizes(`${kind} ${name}`, kind, Object.keys(spec.tensors), list, EXTENTS[kind](maxDims as DimArgs<K, number>));
    checkOverlaps(`${kind} ${name}`, spec, list);
    this.#checkReadsAfterWrites(kind, name, spec, list);
    this.#ops.push({
      kind,
      name,
      tensors: list,
      dims: spec.dims.map((d) => (dims as Record<string, Dim>)[d]!),
      scalars: spec.scalars.map((s) => (scalars as Record<string, Scalar>)[s]!),
    });
  }

  /** A temporary must have been written before an op only reads it (what an op updates in place, it may also start). */
  #checkReadsAfterWrites(kind: OpKind, name: string, spec: OpSpec, tensors: readonly (Tensor | null)[]): void {
    const access = Object.entries(spec.tensors);
    tensors.forEach((t, i) => {
      const [role, mode] = access[i]!;
      if (t && !mode.includes("w") && !t.buffer.external && !this.#written.has(t.buffer)) {
        throw new ShapeError({
          op: `${kind} ${name}`,
          expected: `${role} (${t.buffer.name}) written before it is read`,
        });
      }
    });
    tensors.forEach((t, i) => {
      if (t && access[i]![1].includes("w")) this.#written.add(t.buffer);
    });
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

/** Each tensor has a dtype of its role, and with every Sym at its maximum holds what the op touches. */
function checkSizes(
  op: string,
  kind: OpKind,
  roles: readonly string[],
  tensors: readonly (Tensor | null)[],
  extents: Readonly<Record<string, number>>,
): void {
  roles.forEach((role, i) => {
    const t = tensors[i];
    if (!t) return;
    checkDtype(`${op}: ${role} (${t.buffer.name})`, kind, role, t);
    const there = Math.min(maxSize(t.shape), t.buffer.size - t.offset);
    if (t.offset >= 0 && there >= extents[role]!) return;
    throw new ShapeError({
      op: `${op}: ${role} (${t.buffer.name})`,
      expected: `${extents[role]} elements`,
      got: `${there} from offset ${t.offset} on`,
    });
  });
}

/** Weights that are only read may be of any type; a row of them must then be whole blocks. */
function checkDtype(op: string, kind: OpKind, role: string, { buffer: { dtype }, offset, shape }: Tensor): void {
  if (WEIGHT_ROLES[kind]?.includes(role) && isPacked(dtype)) {
    const { block } = DTYPES[dtype];
    const row = maxOf(shape.at(-1)!);
    if (row % block === 0 && offset % block === 0) return;
    throw new ShapeError({ op, expected: `rows of a multiple of ${block} ${dtype}`, got: `${row} from ${offset} on` });
  }
  const expected = INTEGER_ROLES.has(role) ? "i32" : "f32";
  if (dtype !== expected) throw new ShapeError({ op, expected, got: dtype });
}

/**
 * No written tensor starts where another does, unless the op may work in place. (Those that overlap otherwise are not
 * found: rows of one may well lie between rows of the other.)
 */
function checkOverlaps(op: string, spec: OpSpec, tensors: readonly (Tensor | null)[]): void {
  const roles = Object.entries(spec.tensors);
  for (const [i, [role, access]] of roles.entries()) {
    const t = tensors[i];
    if (!t || !access.includes("w")) continue;
    for (const [j, [other]] of roles.entries()) {
      const u = tensors[j];
      if (i === j || u?.buffer !== t.buffer || u.offset !== t.offset) continue;
      if (spec.inPlace?.some(([w, r]) => (w === role && r === other) || (w === other && r === role))) continue;
      throw new ShapeError({
        op: `${op}: ${role} (${t.buffer.name})`,
        expected: "memory of its own",
        got: `that of ${other}`,
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
      throw new GPT2Error({ op: `program ${program.name}: number ${name}`, expected: "a value for this run" });
    }
    return value;
  });
  return { dims, scalars };
}
