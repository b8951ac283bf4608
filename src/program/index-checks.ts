import { ShapeError } from "../errors.js";
import { ANY_ROWS, type IndexRange, type OpTensor } from "./op-spec.js";
import { specOf } from "./ops.js";
import { type BufferDecl, type Dim, maxOf, maxSize, type Op, type Program, type Tensor } from "./program.js";

/**
 * A bound on the values of an index tensor, so that no kernel reads or writes outside the tensors that the index points into. Index
 * tensors are inputs: no operation writes one, so checking them when a run starts is enough.
 */
export interface IndexCheck {
  readonly buffer: BufferDecl;
  /** The values checked: `count` from element `offset` on. */
  readonly offset: number;
  readonly count: Dim;
  /** Whether a negative value stands for none. */
  readonly optional: boolean;
  /** Values are below this … */
  readonly limit: number;
  /** … and no greater than those of another index tensor. */
  readonly upTo: Tensor | undefined;
}

/** The checks of a Program without repetition: the attention of every layer uses the same ranges. */
export function indexChecks(program: Program): IndexCheck[] {
  const checks = new Map<string, IndexCheck>();
  for (const op of program.ops) {
    for (const check of checksOf(op)) {
      const { buffer, offset, count, optional, upTo } = check;
      const size = typeof count === "number" ? count : count.name;
      const key = [buffer.id, offset, size, optional, upTo?.buffer.id, upTo?.offset].join();
      const other = checks.get(key);
      if (!other || check.limit < other.limit) checks.set(key, check);
    }
  }
  return [...checks.values()];
}

function checksOf(op: Op): IndexCheck[] {
  const spec = specOf(op.kind);
  const roles = Object.keys(spec.tensors);
  const dims = Object.fromEntries(spec.dims.map((name, i) => [name, op.dims[i]!]));
  const tensorOf = (role: string): Tensor | null => op.tensors[roles.indexOf(role)]!;
  const limitOf = (range: IndexRange): number => {
    if ("classes" in range) return maxOf(dims[range.classes]!);
    const tables = range.rowsOf.flatMap((role) => {
      const table = tensorOf(role);
      return table ? [rowCount(table, spec.tensors[role]!, dims)] : [];
    });
    return Math.min(Number.POSITIVE_INFINITY, ...tables);
  };
  return roles.flatMap((role, i): IndexCheck[] => {
    const [tensor, { range, shape }] = [op.tensors[i]!, spec.tensors[role]!];
    if (!tensor || !range) return [];
    const { buffer, offset } = tensor;
    const upTo = "upTo" in range && range.upTo !== undefined ? tensorOf(range.upTo) : null;
    const common = { buffer, offset, count: dims[shape[0]!]!, limit: limitOf(range), upTo: upTo ?? undefined };
    return [{ ...common, optional: "classes" in range }];
  });
}

/** The number of whole rows in a tensor, or the number that the operation uses, where its entry says so. */
function rowCount(t: Tensor, { shape, stride }: OpTensor, dims: Readonly<Record<string, Dim>>): number {
  const [rows, ...inner] = shape;
  if (rows !== ANY_ROWS) return maxOf(dims[rows!]!);
  const width = inner.reduce((n, size) => n * maxOf(dims[size]!), 1);
  const there = Math.min(maxSize(t.shape), t.buffer.size - t.offset);
  return there < width ? 0 : Math.floor((there - width) / (stride === undefined ? width : maxOf(dims[stride]!))) + 1;
}

/**
 * Checks the index tensors of one run.
 *
 * @param sizeOf the size of this run
 * @param valuesOf the contents of a buffer
 * @throws {ShapeError} one holds a value out of range.
 */
export function checkIndices(
  program: Program,
  checks: readonly IndexCheck[],
  sizeOf: (count: Dim) => number,
  valuesOf: (buffer: BufferDecl) => Int32Array,
): void {
  for (const { buffer, offset, count, optional, limit, upTo } of checks) {
    const [values, last] = [valuesOf(buffer), upTo && valuesOf(upTo.buffer)];
    const size = sizeOf(count);
    for (let n = 0; n < size; n++) {
      const value = values[offset + n]!;
      const end = last ? Math.min(limit, last[upTo!.offset + n]! + 1) : limit;
      if ((value >= 0 || optional) && value < end) continue;
      throw new ShapeError({
        op: `program ${program.name}: ${buffer.name}[${offset + n}]`,
        expected: `${optional ? "an index below" : "an index from 0 to"} ${optional ? end : end - 1}`,
        got: String(value),
      });
    }
  }
}
