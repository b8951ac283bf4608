/**
 * What the benchmark and its contenders say to each other. A contender is a program of its own: it gets a {@link Setup} as
 * JSON in its first argument, loads the model, then answers each task, a line of JSON on standard input, with a line on
 * standard output that starts with {@link MARK}. The first such line is its {@link Ready}.
 */
import type { GPT2Config } from "../src/model/config.js";

/** How weights are stored: GGUF's names. `q8_0` also stands for other 8-bit weights, where a program has no q8_0. */
export type WeightType = keyof typeof WEIGHT_BITS;

/** For one weight, the scales of its block included. */
export const WEIGHT_BITS = { f32: 32, f16: 16, q8_0: 8.5, q4_0: 4.5 } as const;

export interface Setup {
  readonly config: GPT2Config;
  /** Of the weights: `seededTensors(config, seed)`. */
  readonly seed: number;
  readonly type: WeightType;
  readonly threads: number;
  /** Every trainer's optimizer, with a constant learning rate and gradients clipped to maxNorm. */
  readonly adamw: AdamW;
  /** Made for this contender by its `prepare`: a model file. */
  readonly file?: string;
}

/** Greedy decoding: the prompt, then `count` tokens after the first new one. */
export interface GenerateTask {
  readonly kind: "generate";
  readonly prompt: readonly number[];
  readonly count: number;
}

/** Training steps on one batch: B rows of T + 1 ids. */
export interface TrainTask {
  readonly kind: "train";
  readonly rows: readonly (readonly number[])[];
  readonly steps: number;
}

export type Task = GenerateTask | TrainTask;

export interface GenerateResult {
  /** count + 1 ids. */
  readonly ids: readonly number[];
  /** Seconds to each; the first pays for the prompt. */
  readonly seconds: readonly number[];
}

export interface TrainResult {
  /** Mean loss in nats before each step. */
  readonly losses: readonly number[];
  readonly seconds: readonly number[];
}

export type Result = GenerateResult | TrainResult;

export interface Ready {
  /** Name and version, with what matters for speed: `torch 2.13.0 (AVX512)`. */
  readonly description: string;
}

export interface AdamW {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of matrices only. */
  readonly weightDecay: number;
  readonly maxNorm: number;
}

/** Libraries print to standard output, too. */
export const MARK = "@bench ";
