/**
 * The package's aims, as shares of the machine's limits and as ratios to the best peer. They are not checked, but shown
 * in the summary.
 */

/** A row of the summary. */
export interface Target {
  /** A {@link Case.name}. */
  readonly case: string;
  /** The smallest share of the limit. */
  readonly share?: number;
  /** The smallest ratio to the best peer. */
  readonly times?: number;
  /** The smallest ratio to this peer, whether it is the best or not. */
  readonly peer?: { readonly name: string; readonly times: number };
  /** The smallest ratio to this package's speed in another case. */
  readonly over?: { readonly case: string; readonly times: number };
  /** The largest value, in the case's unit. */
  readonly most?: number;
}

export const TARGETS: readonly Target[] = [
  { case: "decode-8-f32", share: 0.92, times: 1.1 },
  { case: "decode-512-f32", share: 0.92, times: 1.3 },
  { case: "decode-8-f16", share: 0.9, times: 1.1 },
  { case: "decode-512-f16", share: 0.9, times: 1.3 },
  { case: "decode-8-bf16", share: 0.9, times: 1.1 },
  { case: "decode-512-bf16", share: 0.9, times: 1.3 },
  { case: "decode-8-q8_0", share: 0.82, times: 1.1 },
  { case: "decode-512-q8_0", share: 0.82, times: 1.3 },
  { case: "decode-8-q4_0", share: 0.7, times: 1.5 },
  { case: "decode-512-q4_0", share: 0.7, times: 1.5 },
  { case: "batch-8-f32", times: 1.5 },
  { case: "batch-8-q8_0", times: 3, over: { case: "decode-8-q8_0", times: 5 } },
  { case: "prefill-512-f16", times: 1.5 },
  { case: "prefill-512-bf16", share: 0.6, times: 1.5 },
  { case: "prefill-512-f32", share: 0.8, times: 1.9 },
  { case: "prefill-1000-f32", share: 0.8, times: 1.9 },
  { case: "prefill-512-q8_0", share: 0.45, times: 2 },
  { case: "prefill-1000-q8_0", share: 0.45, times: 2 },
  { case: "train-4x256-f32", share: 0.75, times: 1.8 },
  { case: "train-1x1024-f32", share: 0.75, times: 1.8 },
  { case: "train-4x256-bf16", share: 0.6, times: 1.5, over: { case: "train-4x256-f32", times: 1.6 } },
  { case: "train-1x1024-bf16", share: 0.6, times: 1.5, over: { case: "train-1x1024-f32", times: 1.6 } },
  { case: "train-1x64-f32", peer: { name: "TensorFlow.js", times: 20 } },
  { case: "wasm-decode-8-f32", share: 0.85, times: 1.5 },
  { case: "wasm-decode-8-q8_0", share: 0.5, times: 3 },
  { case: "wasm-prefill-512-f32", share: 0.75, times: 2 },
  { case: "start-q8_0", most: 150, times: 4 },
  { case: "memory-q8_0", most: 60 },
];
