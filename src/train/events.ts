import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { LoraSettings } from "./lora-settings.js";
import type { TrainMemory } from "./memory.js";
import type { BestStep } from "./run-checkpoint.js";
import type { TrainSettings } from "./settings.js";
import type { TaskReport } from "./task-report.js";

/** The events of a training run, in order. `step` counts completed optimizer steps. */
export type TrainEvent = StartEvent | StepEvent | ValidationEvent | SampleEvent | CheckpointEvent | EndEvent;

export interface StartEvent {
  readonly type: "start";
  readonly step: number;
  /** The run continues a checkpoint of `step` steps. */
  readonly resumed: boolean;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** For an adapter: its settings, and the number of trained parameters. */
  readonly lora?: LoraSettings;
  readonly trainedParameters?: number;
  /** The task, if the run trains a task head. */
  readonly head?: TaskHead;
  readonly settings: TrainSettings;
  readonly memory: TrainMemory;
  /** Path of the data. */
  readonly data: string;
  /** Tokens in the training set, and the number of passes through them. */
  readonly trainTokens: number;
  readonly epochs: number;
  /** For examples: their number, and the number truncated to the length of a sequence. */
  readonly examples?: { readonly train: number; readonly val: number; readonly cut: number };
  /** Tokens of held-out text; undefined without any. */
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
  /** Number of predicted tokens: all, or those that the loss mask of examples selects. */
  readonly targets: number;
  readonly lr: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** Total number of tokens seen. */
  readonly tokens: number;
  /** Duration of the step. */
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
  /** Bits per byte of the original text, if the data set knows its size. */
  readonly bitsPerByte: number | undefined;
  /** Whether it is the lowest so far. */
  readonly best: boolean;
  /** For a task: its quality on held-out texts. Then `loss` is the mean over texts, and `tokens` their number. */
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
  /** False if the run was stopped and can be resumed. */
  readonly finished: boolean;
  /** The lowest validation loss, whose checkpoint is kept. */
  readonly best: BestStep | undefined;
  /** Total training time. */
  readonly seconds: number;
  /** The run stopped because the validation loss no longer improved. */
  readonly early?: boolean;
  /** The step of the finished model. */
  readonly saved?: number;
  /** The folder of the finished model or adapter. */
  readonly model?: string;
  readonly adapter?: string;
}
