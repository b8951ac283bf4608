/** gpt2-ts/train: training from scratch and fine-tuning. Node only. */

export type { TrainEvent } from "../train/events.js";
export { type FinetuneOptions, finetune } from "../train/finetune.js";
export { LORA_DEFAULTS, type LoraSettings } from "../train/lora-settings.js";
export { ModelTrainer } from "../train/model-trainer.js";
export { TRAIN_DEFAULTS, type TrainSettings } from "../train/settings.js";
export { Trainer, type TrainerOptions } from "../train/trainer.js";
