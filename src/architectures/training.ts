import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { Backward } from "./architecture.js";
import { backward as bert } from "./bert/backward.js";
import { bertObjective, bertTaskInput } from "./bert/objective.js";
import type { ModelConfig } from "./config.js";
import { GPT_NEO_ATTENTION } from "./gpt-neo/attention.js";
import { GPT2_ATTENTION } from "./gpt2/attention.js";
import type { Leaves } from "./params.js";
import { preNormBackward } from "./pre-norm/backward.js";

/** Backward passes by architecture, kept apart from forward passes because only training loads them. */
export const BACKWARDS: ReadonlyMap<string, Backward> = new Map(
  Object.entries({
    gpt2: preNormBackward(GPT2_ATTENTION),
    "gpt-neo": preNormBackward(GPT_NEO_ATTENTION),
    bert,
  } as unknown as Record<string, Backward>),
);

/** A pre-training objective other than predicting the next token. */
export interface Objective<C extends ModelConfig = ModelConfig> {
  /** Most hidden states that a pass of N tokens predicts from: masked tokens, and next sentences. */
  rows(config: C, N: number): { readonly predicted: number; readonly next: number };
  /** Records the loss, and with `grad` its gradients: dx [N, C] is overwritten, those of parameters accumulate. */
  record(
    k: Recorder,
    config: C,
    p: Leaves<Tensor, Adapter>,
    g: Leaves<Tensor | undefined, unknown>,
    io: ObjectiveTensors,
    grad?: { readonly dx: Tensor; readonly scale: Scalar; readonly nextScale: Scalar },
  ): void;
}

/** R rows: first those of `predicted`, then those of `next`. */
export interface ObjectiveTensors {
  readonly x: Tensor; // [N, C]
  /** Indices of the hidden states to read, each at most once. */
  readonly index: Tensor; // i32 [R]
  readonly targets: Tensor; // i32 [R], negative to ignore
  readonly losses: Tensor; // [R]
}

const OBJECTIVES: ReadonlyMap<string, Objective> = new Map(
  Object.entries({ bert: bertObjective } as unknown as Record<string, Objective>),
);

/** Undefined for models that predict the next token. */
export const objectiveOf = ({ architecture }: ModelConfig): Objective | undefined => OBJECTIVES.get(architecture);

/** The input of a head for whole texts instead of hidden states, and its backward pass: dx [N, C] is computed from dout. */
export interface TaskInput<C extends ModelConfig = ModelConfig> {
  readonly out: Tensor; // [N, C]
  backward(
    k: Recorder,
    config: C,
    p: Leaves<Tensor, Adapter>,
    g: Leaves<Tensor | undefined, unknown>,
    d: { readonly dout: Tensor; readonly dx: Tensor },
  ): void;
}

type RecordTaskInput = (k: Recorder, config: ModelConfig, p: Leaves<Tensor, Adapter>, x: Tensor) => TaskInput;

const TASK_INPUTS: ReadonlyMap<string, RecordTaskInput> = new Map(
  Object.entries({ bert: bertTaskInput } as unknown as Record<string, RecordTaskInput>),
);

/** Undefined for models whose heads read hidden states. */
export const taskInputOf = ({ architecture }: ModelConfig): RecordTaskInput | undefined =>
  TASK_INPUTS.get(architecture);

export const backwardOf = ({ architecture }: ModelConfig): Backward => BACKWARDS.get(architecture)!;
