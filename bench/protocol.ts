/**
 * The protocol between the benchmark and its contenders. A contender is a separate program: it gets a {@link Setup} as
 * JSON in its first argument, loads the model, then answers each task, a line of JSON on standard input, with a line on
 * standard output that starts with {@link MARK}. The first such line is its {@link Ready}.
 */
import type { GPT2Config } from "../src/architectures/gpt2/config.js";

/** How weights are stored: GGUF's names. `q8_0` and `q4_0` also stand for a program's own types of 8 and 4 bits. */
export type WeightType = keyof typeof WEIGHT_BITS;

/** Bytes per weight, the scales of its block included. */
export const WEIGHT_BITS = { f32: 32, f16: 16, bf16: 16, q8_0: 8.5, q4_0: 4.5 } as const;

export interface Setup {
  /** The kind of the tasks that will follow. */
  readonly kind: Task["kind"];
  readonly config: GPT2Config;
  /** Seed of the weights: `seededTensors(config, seed)`. */
  readonly seed: number;
  readonly type: WeightType;
  readonly threads: number;
  /** Every trainer's optimizer, with a constant learning rate and gradients clipped to maxNorm. */
  readonly adamw: AdamW;
  /** Made for this contender by its `prepare`: a model's file or folder. */
  readonly file?: string;
  /** Made for this contender by its `build`: a program. */
  readonly program?: string;
}

/** Greedy decoding: the prompt, then `count` tokens after the first new one. */
export interface GenerateTask {
  readonly kind: "generate";
  readonly prompt: readonly number[];
  readonly count: number;
}

/** Greedy decoding of several sequences at once, each as in {@link GenerateTask}. */
export interface BatchTask {
  readonly kind: "batch";
  readonly prompts: readonly (readonly number[])[];
  readonly count: number;
}

/** Training steps on one batch: B rows of T + 1 ids. */
export interface TrainTask {
  readonly kind: "train";
  readonly rows: readonly (readonly number[])[];
  readonly steps: number;
}

export type Task = GenerateTask | BatchTask | TrainTask;

export interface GenerateResult {
  /** count + 1 ids. */
  readonly ids: readonly number[];
  /** Seconds until each token; the first includes the prompt. */
  readonly seconds: readonly number[];
}

export interface BatchResult {
  /** count + 1 ids of each sequence. */
  readonly ids: readonly (readonly number[])[];
  /** Seconds until each step's tokens of all sequences; the first includes the prompts. */
  readonly seconds: readonly number[];
}

export interface TrainResult {
  /** Mean loss in nats before each step. */
  readonly losses: readonly number[];
  readonly seconds: readonly number[];
}

export type Result = GenerateResult | BatchResult | TrainResult;

export interface Ready {
  /** Name and version, with what matters for speed: `torch 2.13.0 (AVX512)`. */
  readonly description: string;
  /** Size of the keys and values of a full context, in bytes, where that is known. */
  readonly cacheBytes?: number;
}

/** A result, and the benchmark's measurements of its process. */
export interface Outcome<R extends Result = Result> {
  readonly result: R;
  /** From the start of the process to the end of this task. */
  readonly secondsSinceStart: number;
  /** Memory that it holds now, not backed by files and without its cache; undefined where that is not known. */
  readonly ownBytes?: number | undefined;
}

export interface AdamW {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The dtype of matrices only. */
  readonly weightDecay: number;
  readonly maxNorm: number;
}

/** Libraries print to standard output, too. */
export const MARK = "@bench ";
