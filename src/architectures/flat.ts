import { numel, type TensorSpec } from "./tensor-spec.js";

/** Layout of tensors in one flat array. Each tensor starts on a cache line; the gaps stay zero. */
export interface FlatLayout {
  readonly offsets: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
  /** Elements, gaps included. */
  readonly size: number;
}

const LINE = 16;

/** Lays out the tensors of a table, in its order. */
export function flatLayout(table: readonly TensorSpec[]): FlatLayout {
  const offsets = new Map<string, { offset: number; size: number }>();
  let end = 0;
  for (const { name, shape } of table) {
    const size = numel(shape);
    offsets.set(name, { offset: end, size });
    end += Math.ceil(size / LINE) * LINE;
  }
  return { offsets, size: end };
}
