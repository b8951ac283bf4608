import { ACTIVATIONS, type ActivationOrNone } from "./activations.js";
import type { KernelPath } from "./kernel-paths.js";
import {
  ANY_ROWS,
  cached,
  classesBelow,
  type OpSpec,
  optional,
  read,
  rowsOf,
  rowsUpTo,
  strided,
  update,
  weight,
  write,
} from "./op-spec.js";

/**
 * The operations of GPT-2, forward and backward: the one definition that recorded Programs, every backend and the
 * conformance suite share. An entry gives an operation's sizes, its tensors (access, dtype, shape), its numbers, and which
 * tensors may share memory; otherwise a written tensor overlaps none of the operation's other tensors. `npm run generate`
 * derives the C kernels' interface from it.
 *
 * Sizes: N tokens in the batch, C channels, IC/OC channels in and out, NH heads of HS channels, V classes (the vocabulary).
 * Arrays are row-major; weights are [out, in].
 */
export const OPS = {
  /** out[n] = wte[tokens[n]] + wpe[positions[n]]. */
  embeddingForward: {
    dims: ["N", "C"],
    tensors: {
      out: write("N", "C"),
      tokens: rowsOf(["wte"], "N"),
      positions: rowsOf(["wpe"], "N"),
      wte: weight(ANY_ROWS, "C"),
      wpe: weight(ANY_ROWS, "C"),
    },
    scalars: {},
  },
  /** dwte[tokens[n]] += dout[n]; dwpe[positions[n]] += dout[n]. */
  embeddingBackward: {
    dims: ["N", "C"],
    tensors: {
      dwte: optional(update(ANY_ROWS, "C")),
      dwpe: optional(update(ANY_ROWS, "C")),
      dout: read("N", "C"),
      tokens: rowsOf(["dwte"], "N"),
      positions: rowsOf(["dwpe"], "N"),
    },
    scalars: {},
  },
  /** out = (x - mean) · rstd · weight + bias over each row; mean and rstd are kept for the backward pass. */
  layernormForward: {
    dims: ["N", "C"],
    tensors: {
      out: write("N", "C"),
      mean: optional(write("N")),
      rstd: optional(write("N")),
      x: read("N", "C"),
      weight: read("C"),
      bias: read("C"),
    },
    scalars: { epsilon: "real" },
  },
  /** dx += ∂out/∂x · dout, or with overwrite dx = ∂out/∂x · dout; dweight and dbias accumulate. */
  layernormBackward: {
    dims: ["N", "C"],
    tensors: {
      dx: update("N", "C"),
      dweight: optional(update("C")),
      dbias: optional(update("C")),
      dout: read("N", "C"),
      x: read("N", "C"),
      weight: read("C"),
      mean: read("N"),
      rstd: read("N"),
    },
    scalars: { overwrite: "boolean" },
  },
  /**
   * out = residual + act(x · weightᵀ + bias); preact keeps the preactivation for the backward pass. If the weight has an
   * integer type (src/dtype), x is first rounded in blocks of 32 along its rows, by `roundActivations`, so that integers can be
   * multiplied, whatever N is. With bf16, x and a weight of any other type are rounded to bf16 (`roundToBf16`) before they
   * are multiplied; sums and everything else are f32.
   */
  linearForward: {
    dims: ["N", "IC", "OC"],
    tensors: {
      out: write("N", "OC"),
      preact: optional(write("N", "OC")),
      x: read("N", "IC"),
      weight: weight("OC", "IC"),
      bias: optional(read("OC")),
      residual: optional(read("N", "OC")),
    },
    scalars: { act: ["none", "gelu_new"], path: "path", bf16: "boolean" },
  },
  /**
   * dx = (dout · weight) ⊙ act'(preact), or with accumulate dx += the same. preact is required unless act is none. With bf16,
   * dout and weight are rounded to bf16 before they are multiplied.
   */
  linearBackwardInput: {
    dims: ["N", "IC", "OC"],
    tensors: {
      dx: update("N", "IC"),
      dout: read("N", "OC"),
      weight: weight("OC", "IC"),
      preact: optional(read("N", "IC")),
    },
    scalars: { act: ["none", "gelu_new"], accumulate: "boolean", bf16: "boolean" },
  },
  /** dweight += doutᵀ · x; dbias += column sums of dout. With bf16, dout and x are rounded to bf16 before they are multiplied. */
  linearBackwardWeight: {
    dims: ["N", "IC", "OC"],
    tensors: {
      dweight: optional(update("OC", "IC")),
      dbias: optional(update("OC")),
      dout: read("N", "OC"),
      x: read("N", "IC"),
    },
    scalars: { bf16: "boolean" },
  },
  /**
   * Scaled dot-product attention (Attention Is All You Need, section 3.2.1). Token n attends to the rows first[n] to last[n],
   * both included, of k and v, so causal, bidirectional, cached and packed attention differ only in first and last. lse keeps
   * log Σ exp(score). With bf16, factors of products may be rounded to bf16: queries, keys, values, and the weights before or
   * after their division by their sum. Dropout with probability p on the attention weights, by counter (util/random.ts) under the keys key0,
   * key1.
   */
  attentionForward: {
    dims: ["N", "NH", "HS", "ldq", "ldkv"],
    tensors: {
      out: write("N", "NH", "HS"),
      lse: optional(write("N", "NH")),
      q: strided("ldq", read("N", "NH", "HS")),
      k: strided("ldkv", cached("read", ANY_ROWS, "NH", "HS")),
      v: strided("ldkv", cached("read", ANY_ROWS, "NH", "HS")),
      first: rowsUpTo("last", ["k", "v"], "N"),
      last: rowsOf(["k", "v"], "N"),
    },
    scalars: { scale: "real", p: "real", key0: "uint32", key1: "uint32", path: "path", bf16: "boolean" },
  },
  /**
   * Gradients of attentionForward where the key rows are the tokens themselves. Sequences are packed one after another: the first
   * key row of a token is the one of the token before it or, with a sliding window, a later one that this token
   * sees; or it follows all rows that earlier tokens see. A key row that no token sees gets 0. With bf16, factors of products
   * may be rounded to bf16.
   */
  attentionBackward: {
    dims: ["N", "NH", "HS", "ldq", "ldkv"],
    tensors: {
      dq: strided("ldq", write("N", "NH", "HS")),
      dk: strided("ldkv", write("N", "NH", "HS")),
      dv: strided("ldkv", write("N", "NH", "HS")),
      dout: read("N", "NH", "HS"),
      out: read("N", "NH", "HS"),
      lse: read("N", "NH"),
      q: strided("ldq", read("N", "NH", "HS")),
      k: strided("ldkv", read("N", "NH", "HS")),
      v: strided("ldkv", read("N", "NH", "HS")),
      first: rowsUpTo("last", ["k", "v"], "N"),
      last: rowsOf(["k", "v"], "N"),
    },
    scalars: { scale: "real", p: "real", key0: "uint32", key1: "uint32", bf16: "boolean" },
  },
  /** dst[index[n]] = src[n], rows of width W: writes keys and values into the cache. In f16 they are clamped to magnitude 65,504. */
  scatterRows: {
    dims: ["N", "W", "ldsrc", "lddst"],
    tensors: {
      dst: strided("lddst", cached("update", ANY_ROWS, "W")),
      src: strided("ldsrc", read("N", "W")),
      index: rowsOf(["dst"], "N"),
    },
    scalars: {},
  },
  /** out[n] = x[index[n]], rows of width W. */
  gatherRows: {
    dims: ["N", "W"],
    tensors: { out: write("N", "W"), x: cached("read", ANY_ROWS, "W"), index: rowsOf(["x"], "N") },
    scalars: {},
  },
  /**
   * out = residual + mask(x) / (1 - p): each element of x is kept with probability 1 - p, by counter under key0, key1. With
   * x = dout it is its own backward pass.
   */
  dropout: {
    dims: ["N", "C"],
    tensors: { out: write("N", "C"), x: read("N", "C"), residual: optional(read("N", "C")) },
    scalars: { p: "real", key0: "uint32", key1: "uint32" },
    inPlace: [
      ["out", "x"],
      ["out", "residual"],
    ],
  },
  /** losses[n] = -log softmax(logits[n])[targets[n]], 0 without a target; dlogits = scale · (softmax - onehot). */
  crossEntropy: {
    dims: ["N", "V"],
    tensors: {
      losses: write("N"),
      dlogits: optional(write("N", "V")),
      logits: read("N", "V"),
      targets: classesBelow("V", "N"),
    },
    scalars: { scale: "real" },
    inPlace: [["dlogits", "logits"]],
  },
  /**
   * Summary of each row of logits for sampling, over L ids out of V: `tops`, the largest of every 64 ids, ∞ if one is
   * NaN; `sums`, the weights w = exp(scale · (logit - largest)) of every 64 ids, as far as they are kept; `bars`, the
   * least logit kept: the largest such that weights of logits from there on make up `share` of `totals`, the sum of
   * all, or if that is more, the largest logit + floor. Rows whose scale is 0, or whose largest logit is not finite,
   * have only tops; the rest is 0.
   */
  summariseRows: {
    dims: ["N", "V", "L", "B"],
    tensors: {
      tops: write("N", "B"),
      sums: write("N", "B"),
      bars: write("N"),
      totals: write("N"),
      logits: strided("V", read("N", "L")),
      scales: read("N"),
      shares: read("N"),
      floors: read("N"),
    },
    scalars: {},
  },
  /** x = value. */
  fill: { dims: ["size"], tensors: { x: write("size") }, scalars: { value: "real" } },
  /** norm = √Σ x², in double precision and fixed order. */
  norm: { dims: ["size"], tensors: { norm: write(), x: read("size") }, scalars: {} },
  /**
   * AdamW (Loshchilov & Hutter 2019, algorithm 2, decay decoupled): the gradient is first scaled by
   * min(1, maxNorm / (norm + 1e-6)) when maxNorm > 0. correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
   */
  adamw: {
    dims: ["size"],
    tensors: {
      param: update("size"),
      grad: read("size"),
      m: update("size"),
      v: update("size"),
      norm: optional(read()),
    },
    scalars: {
      lr: "real",
      beta1: "real",
      beta2: "real",
      epsilon: "real",
      weightDecay: "real",
      correction1: "real",
      correction2: "real",
      maxNorm: "real",
    },
  },
  /**
   * Nesterov momentum as an average, m += (1 - momentum) · (g - m), out = g + momentum · (m - g), of the gradient g, clipped
   * as in adamw.
   */
  momentum: {
    dims: ["size"],
    tensors: { out: write("size"), m: update("size"), grad: read("size"), norm: optional(read()) },
    scalars: { momentum: "real", maxNorm: "real" },
  },
  /** out = (alpha · a + beta · b) / max(norm, epsilon), without the term, or the division, whose tensor is absent. */
  weightedSum: {
    dims: ["size"],
    tensors: { out: write("size"), a: read("size"), b: optional(read("size")), norm: optional(read()) },
    scalars: { alpha: "real", beta: "real", epsilon: "real" },
    inPlace: [
      ["out", "a"],
      ["out", "b"],
    ],
  },
  /** param = (1 - lr · weightDecay) · param - lr · scale · step. */
  decayedStep: {
    dims: ["size"],
    tensors: { param: update("size"), step: read("size") },
    scalars: { lr: "real", scale: "real", weightDecay: "real" },
  },
  /**
   * out[n] = x[n] ⊙ gain[index[n]]; without an index, gain's first row for all. It scales an adapter's output for each token
   * (by the LoRA scaling, or 0). With x = dout it is its own backward pass.
   */
  scaleColumns: {
    dims: ["N", "C"],
    tensors: {
      out: write("N", "C"),
      x: read("N", "C"),
      gain: read(ANY_ROWS, "C"),
      index: optional(rowsOf(["gain"], "N")),
    },
    scalars: {},
    inPlace: [["out", "x"]],
  },
  /** out = act(x): for activations that linearForward lacks, or where more is added to the argument first. */
  activation: {
    dims: ["N", "C"],
    tensors: { out: write("N", "C"), x: read("N", "C") },
    scalars: { act: ACTIVATIONS },
    inPlace: [["out", "x"]],
  },
  /** dx = dout ⊙ act'(x). */
  activationBackward: {
    dims: ["N", "C"],
    tensors: { dx: write("N", "C"), dout: read("N", "C"), x: read("N", "C") },
    scalars: { act: ACTIVATIONS },
    inPlace: [["dx", "dout"]],
  },
  /** out = a + b. */
  add: {
    dims: ["N", "C"],
    tensors: { out: write("N", "C"), a: read("N", "C"), b: read("N", "C") },
    scalars: {},
    inPlace: [
      ["out", "a"],
      ["out", "b"],
    ],
  },
  /** out = a ⊙ b. */
  multiply: {
    dims: ["N", "C"],
    tensors: { out: write("N", "C"), a: read("N", "C"), b: read("N", "C") },
    scalars: {},
    inPlace: [
      ["out", "a"],
      ["out", "b"],
    ],
  },
} as const satisfies Record<string, OpSpec>;

export type OpKind = keyof typeof OPS;
export const OP_KINDS = Object.keys(OPS) as OpKind[];

/** An operation's entry without its particular type. */
export const specOf = (kind: OpKind): OpSpec => OPS[kind];

export type Tensors<K extends OpKind> = (typeof OPS)[K]["tensors"];
export type OptionalNames<T> = { [N in keyof T]: T[N] extends { readonly optional: true } ? N : never }[keyof T];

/** The tensor arguments of an operation, each a T. */
export type TensorArgs<K extends OpKind, T> = {
  [N in Exclude<keyof Tensors<K>, OptionalNames<Tensors<K>>>]: T;
} & { [N in OptionalNames<Tensors<K>>]?: T | undefined };

export type DimArgs<K extends OpKind, D> = { [N in (typeof OPS)[K]["dims"][number]]: D };

/** A number of an operation; one that may change from run to run is an S. */
export type NumberArg<T, S> = T extends "boolean" ? boolean : T extends readonly (infer A)[] ? A : S;
export type Scalars<K extends OpKind> = (typeof OPS)[K]["scalars"];
/** Names of numbers with a default: false, and the Program's path. */
export type DefaultedNames<T> = { [N in keyof T]: T[N] extends "boolean" | "path" ? N : never }[keyof T];

/** The numbers of an operation. */
export type ScalarArgs<K extends OpKind, S> = {
  [N in Exclude<keyof Scalars<K>, DefaultedNames<Scalars<K>>>]: NumberArg<Scalars<K>[N], S>;
} & { [N in DefaultedNames<Scalars<K>>]?: Scalars<K>[N] extends "path" ? KernelPath : boolean };

/** Any number of an operation. */
export type OpNumber<S> = S | boolean | ActivationOrNone | KernelPath;
