import { type Precision, withPrecision } from "../program/precision.js";
import { type Program, Recorder, type Tensor } from "../program/program.js";
import { type FlatLayout, flatLayout } from "./flat.js";
import type { TensorSpec } from "./tensor-spec.js";

export const OPTIMIZERS = ["adamw", "muon"] as const;
/** `muon`: Muon for the layers' matrices, AdamW for everything else. */
export type OptimizerName = (typeof OPTIMIZERS)[number];

/** Layout of the optimizer's state: m like the parameters, v only for what AdamW updates. */
export interface OptimizerLayout extends FlatLayout {
  /** Runs of tensors that AdamW updates, with or without weight decay. Their part of v starts at `second`. */
  readonly adamw: readonly {
    readonly start: number;
    readonly end: number;
    readonly decay: boolean;
    readonly second: number;
  }[];
  /** Matrices [rows, columns] that Muon updates. */
  readonly muon: readonly MuonMatrix[];
  /** Number of elements of v. */
  readonly secondSize: number;
}

export interface MuonMatrix {
  readonly name: string;
  readonly start: number;
  readonly rows: number;
  readonly columns: number;
}

/** Lays out a table's tensors and their optimizer state. */
export function optimizerLayout(table: readonly TensorSpec[], optimizer: OptimizerName): OptimizerLayout {
  const layout = flatLayout(table);
  const adamw: { start: number; end: number; decay: boolean; second: number }[] = [];
  const muon: MuonMatrix[] = [];
  const ends = [...layout.offsets.values()].slice(1).map(({ offset }) => offset);
  let second = 0;
  for (const [i, spec] of table.entries()) {
    const [start, end] = [layout.offsets.get(spec.name)!.offset, ends[i] ?? layout.size];
    if (optimizer === "muon" && isHiddenMatrix(spec)) {
      muon.push(...matricesOf(spec, start));
      continue;
    }
    const group = adamw.at(-1);
    if (group?.end === start && group.decay === spec.decay) group.end = end;
    else adamw.push({ start, end, decay: spec.decay, second });
    second += end - start;
  }
  return { ...layout, adamw, muon, secondSize: second };
}

/** Embeddings, the output head and task heads are left to AdamW: their rows are vectors rather than parts of a map. */
const isHiddenMatrix = ({ shape, layer }: TensorSpec): boolean => shape.length === 2 && layer >= 0;

function matricesOf({ name, shape, stacked = 1 }: TensorSpec, start: number): MuonMatrix[] {
  const [rows, columns] = [shape[0]! / stacked, shape[1]!];
  return Array.from({ length: stacked }, (_, i) => {
    return { name: stacked === 1 ? name : `${name}.${i}`, start: start + i * rows * columns, rows, columns };
  });
}

export interface OptimizerSettings {
  /** AdamW's decay rate of the mean gradient, and of the mean square. */
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Muon's decay rate of the mean gradient. */
  readonly momentum: number;
  /** Decoupled weight decay, of matrices only. */
  readonly weightDecay: number;
  /** Clip gradients to this global norm. 0: no clipping. */
  readonly maxNorm: number;
  /** Precision of the matrix products in Muon. */
  readonly precision: Precision;
}

/**
 * One optimizer step over flat buffers params, grads, m [size] and v [secondSize], laid out by {@link optimizerLayout}; norm
 * [1] gets the gradients' global norm before clipping. Numbers: lr, correction1, correction2 (1 - beta^t).
 */
export function optimizerProgram(layout: OptimizerLayout, settings: OptimizerSettings): Program {
  const k = new Recorder("optimizer");
  const [lr, correction1, correction2] = [k.scalar("lr"), k.scalar("correction1"), k.scalar("correction2")];
  const flat = (name: string) => k.external(name, [layout.size]);
  const [params, grads, m] = [flat("params"), flat("grads"), flat("m")];
  const v = k.external("v", [layout.secondSize]);
  const norm = k.external("norm", [1]);
  k.op("norm", "norm", { norm, x: grads }, { size: layout.size }, {});
  const { beta1, beta2, epsilon, momentum, maxNorm, weightDecay } = settings;
  for (const { start, end, decay, second } of layout.adamw) {
    const size = end - start;
    const part = (t: Tensor, offset = start): Tensor => ({ ...t, offset, shape: [size] });
    k.op(
      "adamw",
      `adamw.${start}`,
      { param: part(params), grad: part(grads), m: part(m), v: part(v, second), norm },
      { size },
      { lr, beta1, beta2, epsilon, weightDecay: decay ? weightDecay : 0, correction1, correction2, maxNorm },
    );
  }
  for (const { name, start, rows, columns } of layout.muon) {
    const size = rows * columns;
    const part = (t: Tensor): Tensor => ({ ...t, offset: start, shape: [rows, columns] });
    const direction = k.temp(`${name}.direction`, [rows, columns]);
    const moments = { out: direction, m: part(m), grad: part(grads), norm };
    k.op("momentum", `${name}.momentum`, moments, { size }, { momentum, maxNorm });
    const step = orthogonalize(k, name, direction);
    const scale = MUON_RMS * Math.sqrt(Math.max(rows, columns));
    k.op("decayedStep", `${name}.step`, { param: part(params), step }, { size }, { lr, scale, weightDecay });
  }
  return withPrecision(k.build(), settings.precision);
}

/**
 * The elements of an orthogonal matrix [R, C] have root mean square 1 / √max(R, C), those of a step of AdamW about 0.2 to 0.4.
 * Scaled by 0.2 √max(R, C), Muon can use AdamW's learning rate and weight decay (Liu et al. 2025, "Muon is scalable for LLM
 * training", section 2.2).
 */
const MUON_RMS = 0.2;

/** Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": an odd quintic with a steep slope at 0. */
const NEWTON_SCHULZ = { steps: 5, a: 3.4445, b: -4.775, c: 2.0315, epsilon: 1e-7 };

/**
 * Approximates the semi-orthogonal matrix nearest to x [R, C]. Naively
 *
 *     const { U, V } = svd(x); // x = U S Vᵀ
 *     return U · Vᵀ;
 *
 * A singular value decomposition is slow and hard to run in parallel. The Newton–Schulz iteration needs only matrix products,
 * which use the operations of linear layers: after division by the Frobenius norm it repeats x ← a x + (b A + c A²) x five times,
 * with A = x xᵀ. This gives U S' Vᵀ with S' between 0.7 and 1.2, which is close enough. For a tall x it multiplies from the
 * right, with A = xᵀ x. Overwrites x.
 */
function orthogonalize(k: Recorder, name: string, x: Tensor): Tensor {
  const { steps, a, b, c, epsilon } = NEWTON_SCHULZ;
  const [R, C] = x.shape as [number, number];
  const [size, S] = [R * C, Math.min(R, C)];
  const norm = k.temp(`${name}.norm`, [1]);
  k.op("norm", `${name}.norm`, { norm, x }, { size }, {});
  k.op("weightedSum", `${name}.unit`, { out: x, a: x, norm }, { size }, { alpha: 1, beta: 0, epsilon });
  const [gram, square] = [k.temp(`${name}.gram`, [S, S]), k.temp(`${name}.square`, [S, S])];
  let [from, to] = [x, k.temp(`${name}.other`, [R, C])];
  for (let step = 0; step < steps; step++) {
    const at = `${name}.${step}`;
    gramMatrix(k, at, gram, from);
    const squared = { out: square, x: gram, weight: gram };
    k.op("linearForward", `${at}.square`, squared, { N: S, IC: S, OC: S }, { act: "none" });
    const polynomial = { out: gram, a: gram, b: square };
    k.op("weightedSum", `${at}.polynomial`, polynomial, { size: S * S }, { alpha: b, beta: c, epsilon });
    k.op("weightedSum", `${at}.scaled`, { out: to, a: from }, { size }, { alpha: a, beta: 0, epsilon });
    const [dout, weight] = R <= C ? [gram, from] : [from, gram];
    const dims = { N: R, IC: C, OC: S };
    k.op("linearBackwardInput", `${at}.next`, { dx: to, dout, weight }, dims, { act: "none", accumulate: true });
    [from, to] = [to, from];
  }
  return from;
}

/** out = x xᵀ, or xᵀ x for a tall x. */
function gramMatrix(k: Recorder, name: string, out: Tensor, x: Tensor): void {
  const [R, C] = x.shape as [number, number];
  if (R <= C) {
    k.op("linearForward", `${name}.gram`, { out, x, weight: x }, { N: R, IC: C, OC: R }, { act: "none" });
    return;
  }
  k.op("fill", `${name}.zero`, { x: out }, { size: C * C }, { value: 0 });
  k.op("linearBackwardWeight", `${name}.gram`, { dweight: out, dout: x, x }, { N: R, IC: C, OC: C }, {});
}
