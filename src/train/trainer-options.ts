import type { ConfigFields } from "../architectures/registry.js";
import type { Backend } from "../backend/backend.js";
import type { WeightType } from "../dtype/dtype.js";
import type { LocateOptions } from "../pretrained/locate-options.js";
import type { OptionNames } from "../util/nearest.js";
import type { LoraSettings } from "./lora-settings.js";
import type { TrainSettings } from "./settings.js";

export interface TrainerOptions {
  readonly backend: Backend;
  /**
   * A folder made by `gpt2 data`, a shard, or a pattern of shards; or a folder of `prepareExamples`. Optional for a resumed
   * run.
   */
  readonly data?: string | undefined;
  /** The run's folder: checkpoints, metrics, and the finished model in `model/`, or adapter in `adapter/`. */
  readonly out: string;
  /** The model's shape: the name of a published one, or fields for `modelConfig`. With `resume` or `from`, given fields must be that model's. */
  readonly config?: string | ConfigFields | undefined;
  /** A model to start from, instead of random weights: anything `GPT2.load` takes. */
  readonly from?: string | undefined;
  /** Options for fetching `from`. */
  readonly locate?: LocateOptions | undefined;
  /**
   * Train a LoRA adapter for `from` (default: the package's own model), whose weights stay frozen. With the fields of
   * `chooseBackend`'s result, its weights are used in place where possible.
   */
  readonly lora?: Partial<LoraSettings> | undefined;
  /** With an adapter: storage dtype of the model's weights. Default: as in the file. */
  readonly dtype?: WeightType | undefined;
  /**
   * Passes through the training data, instead of `steps`. Missing settings then follow from the number of steps: four validations
   * and one sample per epoch.
   */
  readonly epochs?: number | undefined;
  readonly settings?: Partial<TrainSettings>;
  /** Memory limit of the run, in bytes. Default: the machine's free memory. */
  readonly memoryLimit?: number | undefined;
  /** The backend's peak in FLOP/s, from which utilization is computed. Without it, none is reported. */
  readonly peakFlops?: number | undefined;
  /** Continue the run in `out` from its newest checkpoint. {@link resumedSettings} says which settings may change. */
  readonly resume?: boolean;
  /** Prompt of samples. Default: none; for examples, the prompt of one of them. */
  readonly samplePrompt?: string | undefined;
  /** Called after each pass. A step has several if gradients are accumulated. */
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
  /** The current pass of the step, and the number of its passes. */
  readonly pass: number;
  readonly passes: number;
  /** Total number of tokens seen. */
  readonly tokens: number;
}
