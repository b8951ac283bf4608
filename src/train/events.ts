import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { LoraSettings } from "./lora-settings.js";
import type { TrainMemory } from "./memory.js";
import type { BestStep } from "./run-checkpoint.js";
import type { TrainSettings } from "./settings.js";
import type { TaskReport } from "./task-report.js";

/** What a training run reports, in order. `step` counts the optimizer steps done. */
export type TrainEvent = StartEvent | StepEvent | ValidationEvent | SampleEvent | CheckpointEvent | EndEvent;

export interface StartEvent {
  readonly type: "start";
  readonly step: number;
  /** It continues a checkpoint, of `step` steps. */
  readonly resumed: boolean;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** Of an adapter in training: how, and how many parameters it has (with what else of the model is trained). */
  readonly lora?: LoraSettings;
  readonly trainedParameters?: number;
  /** For a task: what is learned. */
  readonly head?: TaskHead;
  readonly settings: TrainSettings;
  readonly memory: TrainMemory;
  /** Path of the data. */
  readonly data: string;
  /** Tokens in the training set, and how often the run goes through them. */
  readonly trainTokens: number;
  readonly epochs: number;
  /** Of data that is examples: how many, and how many of them had to be cut to the length of a sequence. */
  readonly examples?: { readonly train: number; readonly val: number; readonly cut: number };
  /** Tokens of held-out text; undefined where there is none. */
  readonly valTokens: number | undefined;
  readonly backend: string;
  /** Whether the backend computes products in bf16 faster than in f32. */
  readonly fastBf16: boolean;
}

export interface StepEvent {
  readonly type: "step";
  readonly step: number;
  /** Mean over the step's targets, nats. */
  readonly loss: number;
  /** Tokens that were to be predicted: all, or what is learned of examples. */
  readonly targets: number;
  readonly lr: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** Tokens seen in all. */
  readonly tokens: number;
  /** That the step took. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Fraction of the backend's multiply-add peak. */
  readonly utilization: number | undefined;
}

export interface ValidationEvent {
  readonly type: "validation";
  readonly step: number;
  /** Mean over `tokens` tokens, nats. */
  readonly loss: number;
  readonly tokens: number;
  /** Of the original text, where the data set knows its bytes. */
  readonly bitsPerByte: number | undefined;
  /** The lowest so far. */
  readonly best: boolean;
  /** For a task: how good it is on the held-out texts. `loss` is then the mean over texts, and `tokens` how many they are. */
  readonly report?: TaskReport;
}

export interface SampleEvent {
  readonly type: "sample";
  readonly step: number;
  readonly text: string;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
  readonly best: boolean;
}

export interface EndEvent {
  readonly type: "end";
  readonly step: number;
  /** False when it was stopped and can be resumed. */
  readonly finished: boolean;
  /** The lowest validation loss; its checkpoint is kept. */
  readonly best: BestStep | undefined;
  /** Of training in all. */
  readonly seconds: number;
  /** It stopped because the validation loss no longer improved. */
  readonly early?: boolean;
  /** The step that the finished model is of. */
  readonly saved?: number;
  /** The finished model's folder, or adapter's. */
  readonly model?: string;
  readonly adapter?: string;
}
