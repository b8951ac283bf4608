import type { ConfigFields } from "../architectures/registry.js";
import type { Backend } from "../backend/backend.js";
import type { WeightType } from "../dtype/dtype.js";
import type { LocateOptions } from "../pretrained/locate.js";
import type { OptionNames } from "../util/nearest.js";
import type { LoraSettings } from "./lora-settings.js";
import type { TrainSettings } from "./settings.js";

export interface TrainerOptions {
  readonly backend: Backend;
  /**
   * A folder made by `gpt2 data`, a shard, or a pattern of shards; or a folder of `prepareExamples`. A resumed run may
   * leave it out.
   */
  readonly data?: string | undefined;
  /** The run's folder: checkpoints, metrics, and the finished model in `model/`, or adapter in `adapter/`. */
  readonly out: string;
  /** The model's shape: a published one by name, or some of its fields, gaps filled as by `modelConfig`. With `resume` or `from` it must be that model's, where given. */
  readonly config?: string | ConfigFields | undefined;
  /** A model to start from, instead of random weights: anything `GPT2.load` takes. */
  readonly from?: string | undefined;
  /** Options for fetching `from`. */
  readonly locate?: LocateOptions | undefined;
  /**
   * Train a LoRA adapter for `from` (by default the package's own model), whose weights stay frozen. With the
   * fields of `chooseBackend`'s result its weights are used in place where they can be.
   */
  readonly lora?: Partial<LoraSettings> | undefined;
  /** With an adapter: storage dtype of the model's weights; by default as in the file. */
  readonly dtype?: WeightType | undefined;
  /**
   * Passes through the training data, instead of `steps`. Settings that are not given then follow from the steps that these
   * take: four validations and one sample an epoch.
   */
  readonly epochs?: number | undefined;
  readonly settings?: Partial<TrainSettings>;
  /** Memory limit of the run, in bytes; by default the free memory of the machine. */
  readonly memoryLimit?: number | undefined;
  /** The backend's peak, FLOP/s, for the utilisation; not reported without it. */
  readonly peakFlops?: number | undefined;
  /** Continues the run in `out` from its newest checkpoint. What its settings may change: {@link resumedSettings}. */
  readonly resume?: boolean;
  /** Prompt of samples; by default none, and for examples the prompt of one of them. */
  readonly samplePrompt?: string | undefined;
  /** Called after each pass; a step has several when gradients are accumulated. */
  readonly onPass?: ((progress: PassProgress) => void) | undefined;
}

/** Their names, for `checkOptionNames`. */
export const TRAINER_OPTIONS: OptionNames<TrainerOptions> = {
  backend: true,
  data: true,
  out: true,
  config: true,
  from: true,
  locate: true,
  lora: true,
  dtype: true,
  epochs: true,
  settings: true,
  memoryLimit: true,
  peakFlops: true,
  resume: true,
  samplePrompt: true,
  onPass: true,
};

export interface PassProgress {
  /** Optimizer steps done. */
  readonly step: number;
  /** Of the step at hand. */
  readonly pass: number;
  readonly passes: number;
  /** Tokens seen in all. */
  readonly tokens: number;
}
