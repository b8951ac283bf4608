import type { DimArgs, OPS, OpKind } from "./ops.js";

/** The tensors that hold row numbers or token ids; the dtype of these is i32, of all others f32 (but see WEIGHT_ROLES). */
export const INTEGER_ROLES: ReadonlySet<string> = new Set(["tokens", "positions", "index", "targets", "first", "last"]);

/** The tensors that may also be of a packed type (src/dtype): weights, where an op only reads them. */
export const WEIGHT_ROLES: Readonly<Partial<Record<OpKind, readonly string[]>>> = {
  embeddingForward: ["wte", "wpe"],
  linearForward: ["weight"],
  linearBackwardInput: ["weight"],
};

/** Elements from the start of the first to the end of the last of `rows` rows of `width`, `stride` apart. */
const span = (rows: number, stride: number, width: number): number => (rows === 0 ? 0 : (rows - 1) * stride + width);

const attentionExtents = ({ N, NH, HS, ldq, ldkv }: DimArgs<"attentionForward", number>) => ({
  q: span(N, ldq, NH * HS),
  kv: span(N, ldkv, NH * HS),
  out: N * NH * HS,
});

/**
 * The elements that an op touches in each of its tensors, counted from the tensor's start. 0 where that depends on the
 * contents of an index (wte, wpe, cached keys and values, …): those are checked when the op runs.
 */
export const EXTENTS: {
  readonly [K in OpKind]: (dims: DimArgs<K, number>) => Record<keyof (typeof OPS)[K]["tensors"], number>;
} = {
  embeddingForward: ({ N, C }) => ({ out: N * C, tokens: N, positions: N, wte: 0, wpe: 0 }),
  embeddingBackward: ({ N, C }) => ({ dwte: 0, dwpe: 0, dout: N * C, tokens: N, positions: N }),
  layernormForward: ({ N, C }) => ({ out: N * C, mean: N, rstd: N, x: N * C, weight: C, bias: C }),
  layernormBackward: ({ N, C }) => ({
    dx: N * C,
    dweight: C,
    dbias: C,
    dout: N * C,
    x: N * C,
    weight: C,
    mean: N,
    rstd: N,
  }),
  linearForward: ({ N, IC, OC }) => ({
    out: N * OC,
    preact: N * OC,
    x: N * IC,
    weight: OC * IC,
    bias: OC,
    residual: N * OC,
  }),
  linearBackwardInput: ({ N, IC, OC }) => ({ dx: N * IC, dout: N * OC, weight: OC * IC, preact: N * IC }),
  linearBackwardWeight: ({ N, IC, OC }) => ({ dweight: OC * IC, dbias: OC, dout: N * OC, x: N * IC }),
  attentionForward: (dims) => {
    const { q, out } = attentionExtents(dims);
    return { out, lse: dims.N * dims.NH, q, k: 0, v: 0, first: dims.N, last: dims.N };
  },
  attentionBackward: (dims) => {
    const { q, kv, out } = attentionExtents(dims);
    const tokens = { lse: dims.N * dims.NH, first: dims.N, last: dims.N };
    return { dq: q, dk: kv, dv: kv, dout: out, out, q, k: kv, v: kv, ...tokens };
  },
  scatterRows: ({ N, W, ldsrc }) => ({ dst: 0, src: span(N, ldsrc, W), index: N }),
  gatherRows: ({ N, W }) => ({ out: N * W, x: 0, index: N }),
  dropout: ({ N, C }) => ({ out: N * C, x: N * C, residual: N * C }),
  crossEntropy: ({ N, V }) => ({ losses: N, dlogits: N * V, logits: N * V, targets: N }),
  fill: ({ size }) => ({ x: size }),
  norm: ({ size }) => ({ norm: 1, x: size }),
  scaleColumns: ({ N, C }) => ({ out: N * C, x: N * C, gain: 0, index: N }),
  activation: ({ N, C }) => ({ out: N * C, x: N * C }),
  activationBackward: ({ N, C }) => ({ dx: N * C, dout: N * C, x: N * C }),
  adamw: ({ size }) => ({ param: size, grad: size, m: size, v: size, norm: 1 }),
};
