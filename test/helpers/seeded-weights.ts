/**
 * GPT-2 weights from a seed, the same bits in TypeScript and in numpy (scripts/python/seeded_weights.py), so that a
 * model of 500 MB can be compared with another program's without a file of 500 MB.
 *
 * Element i of tensor t (its place in `tensorTable`, row-major, [out, in]):
 *
 *     u     = randomBits(deriveKey(seed, t, 1), deriveKey(seed, t, 2), i) / 2^32 - 1/2
 *     value = float32(u * scale + offset)           in float64, one rounding at the end
 *
 *     layer-norm weights   offset 1, scale 1/2      biases   scale 1/4
 *     matrices             scale gain * sqrt(12 / in)
 *                          gain 4 for wpe, 2 for wte and c_attn, 1 for the rest
 *
 * A uniform of width s has variance s^2/12, so at gain 1 a matrix keeps the variance of its input. The gains make
 * logits of standard deviation 2 and attention scores of 4: no softmax is flat or a single spike, and the next token
 * depends on the order of the tokens (with smaller gains greedy decoding soon repeats one token, and tests little).
 */
import { createHash } from "node:crypto";
import type { ModelConfig } from "../../src/architectures/config.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel, type TensorSpec } from "../../src/architectures/tensor-spec.js";
import { deriveKey, randomBits } from "../../src/util/random.js";

function offsetAndScale({ name, shape }: TensorSpec): readonly [offset: number, scale: number] {
  if (name.endsWith(".bias")) return [0, 0.25];
  if (shape.length === 1) return [1, 0.5];
  const gain = name === "wpe.weight" ? 4 : name === "wte.weight" || name.endsWith("c_attn.weight") ? 2 : 1;
  return [0, gain * Math.sqrt(12 / shape[1]!)];
}

/** Fills `out` with tensor number `index` of the model made from `seed`. */
export function fillSeeded(out: Float32Array, spec: TensorSpec, index: number, seed: number): void {
  const [offset, scale] = offsetAndScale(spec);
  const k0 = deriveKey(seed, index, 1);
  const k1 = deriveKey(seed, index, 2);
  for (let i = 0; i < out.length; i++) {
    const u = randomBits(k0, k1, i) / 2 ** 32 - 0.5;
    out[i] = u * scale + offset;
  }
}

/** Each tensor of the seeded model in turn; one at a time, so that the model is never in memory twice. */
export function* seededTensors(config: ModelConfig, seed: number): Generator<[TensorSpec, Float32Array]> {
  for (const [index, spec] of tensorTable(config).entries()) {
    const values = new Float32Array(numel(spec.shape));
    fillSeeded(values, spec, index, seed);
    yield [spec, values];
  }
}

/** `count` token ids of the stream (seed, label). */
export function seededTokens(config: ModelConfig, seed: number, label: number, count: number): Int32Array {
  const k0 = deriveKey(seed, label, 1);
  const k1 = deriveKey(seed, label, 2);
  return Int32Array.from({ length: count }, (_, i) => randomBits(k0, k1, i) % config.vocabSize);
}

/**
 * The first 16 hexadecimal digits of the SHA-256 of the values' bytes (on little-endian machines only, like all
 * machines here).
 */
export function checksum(values: Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
