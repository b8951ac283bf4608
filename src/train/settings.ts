import type { ModelConfig } from "../architectures/config.js";
import { OPTIMIZERS, type OptimizerName } from "../architectures/optimizer.js";
import { UsageError } from "../errors.js";
import { PRECISIONS, type Precision } from "../program/precision.js";
import { checkOptionNames } from "../util/nearest.js";

/** Training settings. The defaults are the accepted recipe for GPT-2 124M (docs/training.md). Checkpoints save all of them. */
export interface TrainSettings {
  /** Sequences in one forward and backward pass, B. */
  readonly batchSize: number;
  /** Tokens in a sequence, T; at most the model's context. */
  readonly seqLength: number;
  /** Tokens in one optimizer step; gradients are accumulated over batchTokens / (B · T) passes. */
  readonly batchTokens: number;
  /** Number of optimizer steps. */
  readonly steps: number;
  /** Steps of linear warm-up. Default: a tenth of all, at most 100. */
  readonly warmupSteps: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Schedule of the learning rate after the warm-up: see {@link learningRate}. */
  readonly schedule: ScheduleName;
  /** Learning rate at the end. Default: a tenth of the peak for a cosine, else 0. */
  readonly minLr: number;
  /** For a trapezoid: steps of linear warm-down at the end. Default: a fifth of all. */
  readonly warmdownSteps: number;
  readonly optimizer: OptimizerName;
  /** Muon's decay rate of the mean gradient. */
  readonly momentum: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay, of matrices only. */
  readonly weightDecay: number;
  /** Largest global gradient norm. 0: no clipping. */
  readonly maxNorm: number;
  /** Precision of matrix products. Weights, gradients and the optimizer's moments are f32. */
  readonly precision: Precision;
  /** Probability of dropping embeddings, attention weights and block outputs. */
  readonly dropout: number;
  /** Seed of initialization, data order and dropout. */
  readonly seed: number;
  /** Steps between validations; there is one at the end too. 0: never. */
  readonly valEvery: number;
  /** Batches of a validation. 0: the whole validation set. */
  readonly valBatches: number;
  /** Steps between samples; there is one at the end too. 0: never. */
  readonly sampleEvery: number;
  /** Number of tokens of a sample. */
  readonly sampleTokens: number;
  /** Steps between checkpoints; there is one at the end too. */
  readonly saveEvery: number;
  /** Number of newest checkpoints to keep, besides the best. */
  readonly keep: number;
  /** 1: a token sees only its own document, with positions from 0. Always so for examples of prompts and chats. */
  readonly isolate: number;
  /** 1: recompute activations in the backward pass instead of keeping them. The same bits, less memory, more time. */
  readonly recompute: number;
  /** Consecutive validations without a new lowest loss after which the run stops. 0: never. */
  readonly patience: number;
  /** 1: finish with the model of the lowest validation loss instead of the last. */
  readonly useBest: number;
  /** BERT: share of tokens to mask and predict. */
  readonly maskShare: number;
  /** BERT, 1: mask whole words, with all of their tokens. */
  readonly wholeWords: number;
  /** BERT: number of ways to mask each text. 0: a new way each time (RoBERTa's dynamic masking). */
  readonly staticMasks: number;
}

export const SCHEDULES = ["cosine", "linear", "trapezoid"] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

interface Range {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly whole?: true;
}

/** A name. */
interface Choice {
  readonly default: string;
  readonly oneOf: readonly string[];
}

const COUNT = { min: 0, max: 2 ** 31, whole: true } as const;

/**
 * Default and range of each setting. The defaults of batchTokens, warmupSteps, warmdownSteps and minLr, here 0, depend on other
 * settings.
 */
const TABLE: Readonly<Record<keyof TrainSettings, Range | Choice>> = {
  batchSize: { default: 4, min: 1, max: 65536, whole: true },
  seqLength: { default: 1024, min: 1, max: 2 ** 20, whole: true },
  batchTokens: { ...COUNT, default: 0, min: 1 },
  steps: { ...COUNT, default: 1000 },
  warmupSteps: { ...COUNT, default: 0 },
  lr: { default: 6e-4, min: 0, max: 1 },
  schedule: { default: "cosine", oneOf: SCHEDULES },
  minLr: { default: 0, min: 0, max: 1 },
  warmdownSteps: { ...COUNT, default: 0 },
  optimizer: { default: "adamw", oneOf: OPTIMIZERS },
  momentum: { default: 0.95, min: 0, max: 0.99999 },
  beta1: { default: 0.9, min: 0, max: 0.99999 },
  beta2: { default: 0.95, min: 0, max: 0.9999999 },
  epsilon: { default: 1e-8, min: 0, max: 1 },
  weightDecay: { default: 0.1, min: 0, max: 10 },
  maxNorm: { default: 1, min: 0, max: Number.MAX_VALUE },
  precision: { default: "f32", oneOf: PRECISIONS },
  dropout: { default: 0, min: 0, max: 0.99 },
  seed: { default: 1, min: 0, max: Number.MAX_SAFE_INTEGER, whole: true },
  valEvery: { ...COUNT, default: 250 },
  valBatches: { ...COUNT, default: 20 },
  sampleEvery: { ...COUNT, default: 250 },
  sampleTokens: { default: 64, min: 1, max: 65536, whole: true },
  saveEvery: { ...COUNT, default: 250, min: 1 },
  keep: { default: 2, min: 1, max: 1000, whole: true },
  isolate: { default: 0, min: 0, max: 1, whole: true },
  recompute: { default: 0, min: 0, max: 1, whole: true },
  patience: { ...COUNT, default: 0 },
  useBest: { default: 0, min: 0, max: 1, whole: true },
  maskShare: { default: 0.15, min: 0.01, max: 0.19 },
  wholeWords: { default: 0, min: 0, max: 1, whole: true },
  staticMasks: { ...COUNT, default: 0 },
};

/** The default of each setting that does not depend on others. */
export const TRAIN_DEFAULTS = Object.fromEntries(
  Object.entries(TABLE).map(([name, range]) => [name, range.default]),
) as unknown as TrainSettings;

/** The values of settings that are names. */
export const SETTING_NAMES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(TABLE).flatMap(([name, range]) => ("oneOf" in range ? [[name, range.oneOf] as const] : [])),
);

/**
 * Completes settings with their defaults: warmupSteps is {@link defaultWarmup}, warmdownSteps a fifth of the steps, minLr a tenth
 * of lr for a cosine and else 0, batchTokens one pass (B · T).
 *
 * @throws {UsageError} a value is out of range, batchTokens is not a multiple of B · T, or minLr is above lr.
 */
export function trainSettings(partial: Partial<TrainSettings> = {}): TrainSettings {
  checkOptionNames("training settings", partial, TRAIN_DEFAULTS);
  const { lr: peak = TRAIN_DEFAULTS.lr, steps = TRAIN_DEFAULTS.steps, schedule = TRAIN_DEFAULTS.schedule } = partial;
  const dependent = {
    minLr: schedule === "cosine" ? peak / 10 : 0,
    warmupSteps: defaultWarmup(steps),
    warmdownSteps: defaultWarmdown(steps),
  };
  const given = { ...TRAIN_DEFAULTS, ...dependent, ...partial };
  const pass = given.batchSize * given.seqLength;
  const settings = { ...given, batchTokens: given.batchTokens || pass };
  for (const [name, range] of Object.entries(TABLE)) checkRange(name, settings[name as keyof TrainSettings], range);
  const { batchTokens, lr, minLr } = settings;
  if (batchTokens % pass !== 0) {
    throw new UsageError({
      op: "training: batchTokens",
      expected: `a multiple of batchSize × seqLength = ${pass}`,
      got: String(batchTokens),
      hint: `The nearest is ${Math.max(1, Math.round(batchTokens / pass)) * pass}`,
    });
  }
  if (minLr > lr) {
    throw new UsageError({ op: "training: minLr", expected: `at most lr = ${lr}, the peak`, got: String(minLr) });
  }
  return settings;
}

/** The default warm-up of a run of so many steps: long enough to settle, short enough to reach the peak. */
export const defaultWarmup = (steps: number): number => Math.min(100, Math.ceil(steps / 10));

/** The default warm-down of a trapezoid of so many steps: a fifth (Hägele et al. 2024 find no gain from a longer one). */
export const defaultWarmdown = (steps: number): number => Math.ceil(steps / 5);

/**
 * Completes the settings for a model. Sequences are as long as its context by default.
 *
 * @throws {UsageError} as {@link trainSettings}, and if sequences are longer than the context.
 */
export function settingsFor({ nCtx }: ModelConfig, partial: Partial<TrainSettings> = {}): TrainSettings {
  const settings = trainSettings({ ...partial, seqLength: partial.seqLength ?? nCtx });
  checkSeqLength(settings, nCtx);
  return settings;
}

/** @throws {UsageError} sequences are longer than the context. */
export function checkSeqLength({ seqLength }: TrainSettings, nCtx: number): void {
  if (seqLength <= nCtx) return;
  throw new UsageError({
    op: "training: seqLength",
    expected: `at most ${nCtx}, the model's context`,
    got: `${seqLength}`,
  });
}

function checkRange(name: string, value: unknown, range: Range | Choice): void {
  if ("oneOf" in range) {
    if (range.oneOf.includes(value as string)) return;
    throw new UsageError({ op: `training: ${name}`, expected: range.oneOf.join(" or "), got: String(value) });
  }
  const { min, max, whole } = range;
  const right = typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value));
  if (right) return;
  const expected = `${whole ? "an integer" : "a number"} from ${min} to ${max}`;
  throw new UsageError({ op: `training: ${name}`, expected, got: String(value) });
}

/** Settings that a resumed run may change: they do not affect earlier steps. */
const CHANGEABLE: ReadonlySet<string> = new Set<keyof TrainSettings>([
  "steps",
  "warmdownSteps",
  "precision",
  "batchSize",
  "valEvery",
  "valBatches",
  "sampleEvery",
  "sampleTokens",
  "saveEvery",
  "keep",
  "recompute",
  "patience",
  "useBest",
]);

/**
 * The settings of a run resumed after `step`: the saved ones with the given changes.
 *
 * @throws {UsageError} a setting cannot be changed, or the number of steps is below those done.
 */
export function resumedSettings(saved: TrainSettings, given: Partial<TrainSettings>, step: number): TrainSettings {
  for (const [name, value] of Object.entries(given)) {
    // Older checkpoints lack some.
    const before = saved[name as keyof TrainSettings] ?? TRAIN_DEFAULTS[name as keyof TrainSettings];
    if (value === undefined || value === before || CHANGEABLE.has(name)) continue;
    throw new UsageError({
      op: `resuming: ${name}`,
      expected: `${before}, as the run was started with`,
      got: String(value),
      hint: `A resumed run can change ${[...CHANGEABLE].join(", ")}; for anything else start another`,
    });
  }
  const settings = trainSettings({ ...saved, ...given });
  if (settings.steps < step) {
    throw new UsageError({
      op: "resuming: steps",
      expected: `at least ${step}, the steps done`,
      got: `${settings.steps}`,
    });
  }
  return settings;
}

/** Passes of B · T tokens in one step. */
export function accumulation({ batchTokens, batchSize, seqLength }: TrainSettings): number {
  return batchTokens / (batchSize * seqLength);
}

/**
 * Learning rate of step 0, 1, …: linear warm-up to lr, then down to minLr along half a cosine or a line, or as a trapezoid lr
 * until a linear warm-down. Steps of a trapezoid before the warm-down do not depend on the end of the run, so a run can be
 * extended or branched from any checkpoint there (Zhai et al. 2022, "Scaling vision transformers"; Hägele et al.
 * 2024, "Scaling laws and compute-optimal training beyond fixed training durations").
 */
export function learningRate(settings: TrainSettings, step: number): number {
  const { lr, minLr, warmupSteps, warmdownSteps, steps, schedule } = settings;
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  if (step >= steps) return minLr;
  const start = schedule === "trapezoid" ? Math.max(warmupSteps, steps - warmdownSteps) : warmupSteps;
  const progress = Math.max(0, step - start) / Math.max(1, steps - start);
  const left = schedule === "cosine" ? 0.5 * (1 + Math.cos(Math.PI * progress)) : 1 - progress;
  return minLr + (lr - minLr) * left;
}
