/** gpt2-ts/train: training from scratch and fine-tuning. Node only. */

export type { MuonMatrix, OptimizerLayout, OptimizerName } from "../architectures/optimizer.js";
export type { EntityReport, EntityScores } from "../evaluate/metrics/entities.js";
export type { Precision } from "../program/precision.js";
export type { ClassificationReport, LabelReport, RegressionReport } from "../train/classification-metrics.js";
export type {
  CheckpointEvent,
  EndEvent,
  SampleEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  ValidationEvent,
} from "../train/events.js";
export { type FinetuneOptions, finetune } from "../train/finetune.js";
export type { FinetuneDataOptions, FinetuneTask, PrepareStatus } from "../train/finetune-data.js";
export type { FillBatch, HostBatch } from "../train/host-batch.js";
export type { LoraExtra, LoraPlan } from "../train/lora-settings.js";
export { LORA_DEFAULTS, type LoraSettings } from "../train/lora-settings.js";
export type { TrainMemory } from "../train/memory.js";
export type { Adaptation, StepOptions, StepResult } from "../train/model-trainer.js";
export { ModelTrainer } from "../train/model-trainer.js";
export type { BestStep } from "../train/run-checkpoint.js";
export { type ScheduleName, TRAIN_DEFAULTS, type TrainSettings } from "../train/settings.js";
export type { SpanReport } from "../train/span-report.js";
export type { Outcome } from "../train/task-arrays.js";
export type { TaskReport } from "../train/task-report.js";
export { Trainer } from "../train/trainer.js";
export type { PassProgress, TrainerOptions } from "../train/trainer-options.js";
