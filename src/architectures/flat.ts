import { numel, type TensorSpec } from "./tensor-spec.js";

/** Layout of tensors in one flat array. Each starts on a cache line; the gaps stay zero. */
export interface FlatLayout {
  readonly offsets: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
  /** Elements, gaps included. */
  readonly size: number;
  /** Runs of tensors with or without weight decay. */
  readonly groups: readonly { readonly start: number; readonly end: number; readonly decay: boolean }[];
}

const LINE = 16;

/** Layout of the tensors of a table, in its order. */
export function flatLayout(table: readonly TensorSpec[]): FlatLayout {
  const offsets = new Map<string, { offset: number; size: number }>();
  const groups: { start: number; end: number; decay: boolean }[] = [];
  let end = 0;
  for (const { name, shape, decay } of table) {
    const [offset, size] = [end, numel(shape)];
    offsets.set(name, { offset, size });
    end += Math.ceil(size / LINE) * LINE;
    const group = groups.at(-1);
    if (group?.decay === decay) group.end = end;
    else groups.push({ start: offset, end, decay });
  }
  return { offsets, size: end, groups };
}
