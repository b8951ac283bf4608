import { ShapeError } from "../errors.js";
import { specOf } from "../program/ops.js";
import type { BufferDecl, Op, Program } from "../program/program.js";

/** The attention weights of one layer over a text of T tokens. */
export interface AttentionMaps {
  readonly tokens: number;
  readonly heads: number;
  /** [heads, T, T]: the weight of each token (column) for each token (row). Rows sum to 1; tokens not seen have weight 0. */
  readonly weights: Float32Array;
}

/** The buffers of a layer's queries and keys. Kernels keep no attention weights, so they are recomputed from these. */
export interface AttentionPlace {
  readonly heads: number;
  readonly headSize: number;
  readonly scale: number;
  readonly q: TensorPlace;
  readonly k: TensorPlace;
}

interface TensorPlace {
  readonly buffer: BufferDecl;
  readonly offset: number;
  /** Elements between tokens. */
  readonly stride: number;
}

/** @throws {ShapeError} the Program has fewer layers. */
export function attentionPlace({ ops, name }: Program, layer: number): AttentionPlace {
  const found = ops.filter(({ kind }) => kind === "attentionForward");
  const op = found[layer];
  if (op === undefined) {
    const expected = `a layer from 0 to ${found.length - 1}`;
    throw new ShapeError({ op: `attention of ${name}`, expected, got: String(layer) });
  }
  return placeOf(op);
}

function placeOf(op: Op): AttentionPlace {
  const spec = specOf(op.kind);
  const dim = (name: string): number => op.dims[spec.dims.indexOf(name)] as number;
  const place = (role: string, stride: string): TensorPlace => {
    const { buffer, offset } = op.tensors[Object.keys(spec.tensors).indexOf(role)]!;
    return { buffer, offset, stride: dim(stride) };
  };
  const scale = op.scalars[Object.keys(spec.scalars).indexOf("scale")] as number;
  return { heads: dim("NH"), headSize: dim("HS"), scale, q: place("q", "ldq"), k: place("k", "ldkv") };
}

/** softmax(scale · q kᵀ) over the keys that each token sees, first[n] to last[n]. @param q, k the buffers' values */
export function attentionWeights(
  { heads, headSize: HS, scale, q: at, k: to }: AttentionPlace,
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  first: Int32Array,
  last: Int32Array,
): AttentionMaps {
  const T = first.length;
  const weights = new Float32Array(heads * T * T);
  for (let h = 0; h < heads; h++) {
    for (let n = 0; n < T; n++) {
      const scores: number[] = [];
      for (let m = first[n]!; m <= last[n]!; m++) {
        let sum = 0;
        const [a, b] = [at.offset + n * at.stride + h * HS, to.offset + m * to.stride + h * HS];
        for (let i = 0; i < HS; i++) sum += q[a + i]! * k[b + i]!;
        scores.push(scale * sum);
      }
      const most = Math.max(...scores);
      const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
      const row = (h * T + n) * T + first[n]!;
      for (const [i, score] of scores.entries()) weights[row + i] = Math.exp(score - most) / total;
    }
  }
  return { tokens: T, heads, weights };
}
