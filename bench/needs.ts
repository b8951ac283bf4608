/** The least a task needs of the machine: floating-point operations, a multiply-add counting as two, and bytes to read. */
import type { GPT2Config } from "../src/architectures/gpt2/config.js";
import { tensorTable } from "../src/architectures/registry.js";
import { numel } from "../src/architectures/tensor-spec.js";
import { WEIGHT_BITS, type WeightType } from "./protocol.js";
import { sum } from "./statistics.js";

/** Each block's matrices and, for N (N + 1) / 2 pairs of query and key, scores and values; the head for the last token. */
export function prefillFlops({ nEmbd: C, nInner: F, nLayer: L, vocabSize: V }: GPT2Config, N: number): number {
  return 2 * N * L * (4 * C * C + 2 * C * F) + 4 * C * L * ((N * (N + 1)) / 2) + 2 * V * C;
}

/**
 * Every weight once, and the keys and values of `length` tokens of each sequence (in f16, or in f32 beside f32
 * weights).
 */
export function stepBytes(config: GPT2Config, type: WeightType, length: number, sequences = 1): number {
  return (
    weightBytes(config, type, sequences) +
    sequences * (type === "f32" ? 4 : 2) * 2 * config.nEmbd * config.nLayer * length
  );
}

/**
 * Bytes of all weights that a step of `sequences` sequences reads: matrices in their type, vectors in f32, and one row
 * of positions for each sequence.
 */
function weightBytes(config: GPT2Config, type: WeightType, sequences: number): number {
  const table = tensorTable(config).filter(({ name }) => name !== "wpe.weight");
  const bits = table.map(({ shape }) => numel(shape) * (shape.length > 1 ? WEIGHT_BITS[type] : 32));
  return sum(bits) / 8 + sequences * 4 * config.nEmbd;
}
