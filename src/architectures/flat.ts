import { numel, type TensorSpec } from "./tensor-spec.js";

/** Every tensor's place in one flat array, each on a cache line of its own; the gaps stay zero. */
export interface FlatLayout {
  readonly offsets: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
  /** Elements, gaps included. */
  readonly size: number;
  /** Neighbouring tensors that the optimizer treats alike. */
  readonly groups: readonly { readonly start: number; readonly end: number; readonly decay: boolean }[];
}

const LINE = 16;

/** Where the tensors of a table stand: the model's, or those of it and of an adapter that are trained. */
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
