/**
 * The operations of GPT-2, forward and backward: which tensors each reads and writes, its sizes and its numbers.
 * This table is what a recorded Program, every backend and the conformance suite agree on. A tensor's access is `r`
 * (read), `w` (overwritten) or `rw` (updated in place); `?` marks one that may be absent. The order of the entries is
 * the order in which the native kernels receive them (native/ops.h).
 *
 * Shapes: N tokens in the batch, C channels, IC/OC channels in and out, NH heads of HS channels, V vocabulary, M rows of
 * logits. Matrices are row-major; weights are [out, in]. What an op writes overlaps none of its other tensors, except
 * those named in `inPlace`.
 */
export interface OpSpec {
  readonly tensors: Readonly<Record<string, "r" | "w" | "rw" | "r?" | "w?" | "rw?">>;
  readonly dims: readonly string[];
  readonly scalars: readonly string[];
  /** Pairs of a written and a read tensor that may be one and the same. */
  readonly inPlace?: readonly (readonly [string, string])[];
}

export const OPS = {
  /** out[n] = wte[tokens[n]] + wpe[positions[n]]. */
  embeddingForward: {
    tensors: { out: "w", tokens: "r", positions: "r", wte: "r", wpe: "r" },
    dims: ["N", "C"],
    scalars: [],
  },
  /** dwte[tokens[n]] += dout[n]; dwpe[positions[n]] += dout[n]. */
  embeddingBackward: {
    tensors: { dwte: "rw?", dwpe: "rw?", dout: "r", tokens: "r", positions: "r" },
    dims: ["N", "C"],
    scalars: [],
  },
  /** out = (x - mean) * rstd * weight + bias over each row; mean and rstd [N] are kept for the backward pass. */
  layernormForward: {
    tensors: { out: "w", mean: "w?", rstd: "w?", x: "r", weight: "r", bias: "r" },
    dims: ["N", "C"],
    scalars: ["epsilon"],
  },
  /** dx += d out / d x (dx = when overwrite is 1); dweight and dbias accumulate. */
  layernormBackward: {
    tensors: { dx: "rw", dweight: "rw?", dbias: "rw?", dout: "r", x: "r", weight: "r", mean: "r", rstd: "r" },
    dims: ["N", "C"],
    scalars: ["overwrite"],
  },
  /**
   * out[N, OC] = residual + act(x[N, IC] · weightᵀ + bias), act 0 the identity, 1 GELU (tanh form). `preact` keeps the
   * argument of act for the backward pass. With a weight of an integer type (src/dtype) x is first rounded in blocks of
   * 32 along its rows, `roundActivations`, so that integers can be multiplied; whatever N is.
   */
  linearForward: {
    tensors: { out: "w", preact: "w?", x: "r", weight: "r", bias: "r?", residual: "r?" },
    dims: ["N", "IC", "OC"],
    scalars: ["act"],
  },
  /** dx[N, IC] = (dout[N, OC] · weight) ⊙ act'(preact); added to dx when accumulate is 1. */
  linearBackwardInput: {
    tensors: { dx: "rw", dout: "r", weight: "r", preact: "r?" },
    dims: ["N", "IC", "OC"],
    scalars: ["act", "accumulate"],
  },
  /** dweight[OC, IC] += doutᵀ · x; dbias[OC] += column sums of dout. */
  linearBackwardWeight: {
    tensors: { dweight: "rw?", dbias: "rw?", dout: "r", x: "r" },
    dims: ["N", "IC", "OC"],
    scalars: [],
  },
  /**
   * Scaled dot-product attention (Attention Is All You Need, section 3.2.1). Token n attends to the key rows first[n] to
   * last[n], both included, of k and v (row length ldkv); q has row length ldq, out NH·HS. So causal, bidirectional,
   * cached and packed attention differ only in first and last. lse[N, NH] keeps log Σ exp(score). Dropout with
   * probability p on the attention weights, by counter (util/random.ts) under the keys key0, key1.
   */
  attentionForward: {
    tensors: { out: "w", lse: "w?", q: "r", k: "r", v: "r", first: "r", last: "r" },
    dims: ["N", "NH", "HS", "ldq", "ldkv"],
    scalars: ["scale", "p", "key0", "key1"],
  },
  /**
   * Gradients of attentionForward where the key rows are the tokens themselves; dq, dk, dv have row lengths ldq, ldkv.
   * Sequences are packed one after another: tokens with the same first key row are neighbours, and see no row that
   * tokens before or after them see. A key row that no token sees gets 0.
   */
  attentionBackward: {
    tensors: {
      dq: "w",
      dk: "w",
      dv: "w",
      dout: "r",
      out: "r",
      lse: "r",
      q: "r",
      k: "r",
      v: "r",
      first: "r",
      last: "r",
    },
    dims: ["N", "NH", "HS", "ldq", "ldkv"],
    scalars: ["scale", "p", "key0", "key1"],
  },
  /** dst[index[n]] = src[n], rows of width W; how keys and values enter the cache. */
  scatterRows: {
    tensors: { dst: "rw", src: "r", index: "r" },
    dims: ["N", "W", "ldsrc", "lddst"],
    scalars: [],
  },
  /** out[m] = x[index[m]], rows of width W. */
  gatherRows: {
    tensors: { out: "w", x: "r", index: "r" },
    dims: ["N", "W"],
    scalars: [],
  },
  /**
   * out = residual + mask(x) / (1 - p): each element of x kept with probability 1 - p, by counter under key0, key1. Its
   * own backward pass, with x = dout.
   */
  dropout: {
    tensors: { out: "w", x: "r", residual: "r?" },
    dims: ["N", "C"],
    scalars: ["p", "key0", "key1"],
    inPlace: [
      ["out", "x"],
      ["out", "residual"],
    ],
  },
  /**
   * losses[n] = -log softmax(logits[n])[targets[n]], 0 where the target is negative. dlogits, which may be the logits
   * themselves, gets scale · (softmax - onehot).
   */
  crossEntropy: {
    tensors: { losses: "w", dlogits: "w?", logits: "r", targets: "r" },
    dims: ["N", "V"],
    scalars: ["scale"],
    inPlace: [["dlogits", "logits"]],
  },
  /** x[0..size) = value. */
  fill: { tensors: { x: "w" }, dims: ["size"], scalars: ["value"] },
  /** norm[0] = sqrt(Σ x²), in double precision and fixed order. */
  norm: { tensors: { norm: "w", x: "r" }, dims: ["size"], scalars: [] },
  /**
   * AdamW (Loshchilov & Hutter 2019, algorithm 2, decay decoupled): the gradient is first scaled by
   * min(1, maxNorm / (norm + 1e-6)) when maxNorm > 0. correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
   */
  adamw: {
    tensors: { param: "rw", grad: "r", m: "rw", v: "rw", norm: "r?" },
    dims: ["size"],
    scalars: ["lr", "beta1", "beta2", "epsilon", "weightDecay", "correction1", "correction2", "maxNorm"],
  },
  /**
   * out[n, c] = x[n, c] · gain[index[n], c]; without an index, gain's first row for all. How much of an adapter each token
   * gets (LoRA's scale, or nothing); its own backward pass, with x = dout.
   */
  scaleColumns: {
    tensors: { out: "w", x: "r", gain: "r", index: "r?" },
    dims: ["N", "C"],
    scalars: [],
    inPlace: [["out", "x"]],
  },
  /**
   * out = act(x), act any number of activations.ts: those that linearForward does not know, and its own where more is added
   * to its argument first.
   */
  activation: {
    tensors: { out: "w", x: "r" },
    dims: ["N", "C"],
    scalars: ["act"],
    inPlace: [["out", "x"]],
  },
  /** dx = dout ⊙ act'(x). */
  activationBackward: {
    tensors: { dx: "w", dout: "r", x: "r" },
    dims: ["N", "C"],
    scalars: ["act"],
    inPlace: [["dx", "dout"]],
  },
} as const satisfies Record<string, OpSpec>;

export type OpKind = keyof typeof OPS;
export const OP_KINDS = Object.keys(OPS) as OpKind[];

type Tensors<K extends OpKind> = (typeof OPS)[K]["tensors"];
type OptionalNames<T> = { [N in keyof T]: T[N] extends `${string}?` ? N : never }[keyof T];

/** The tensor arguments of an op, each a T, those marked `?` optional. */
export type TensorArgs<K extends OpKind, T> = {
  [N in Exclude<keyof Tensors<K>, OptionalNames<Tensors<K>>>]: T;
} & { [N in OptionalNames<Tensors<K>>]?: T | undefined };

export type DimArgs<K extends OpKind, D> = { [N in (typeof OPS)[K]["dims"][number]]: D };
export type ScalarArgs<K extends OpKind, S> = { [N in (typeof OPS)[K]["scalars"][number]]: S };
