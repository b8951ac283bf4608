import { UsageError } from "../errors.js";

/** How a model is trained. The defaults are the accepted recipe for GPT-2 124M (docs/training.md); all are saved in checkpoints. */
export interface TrainSettings {
  /** Sequences in one forward and backward pass, B. */
  readonly batchSize: number;
  /** Tokens in a sequence, T; at most the model's context. */
  readonly seqLength: number;
  /** Tokens in one optimizer step; gradients are accumulated over batchTokens / (B · T) passes. */
  readonly batchTokens: number;
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Steps of linear warm-up. */
  readonly warmupSteps: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Learning rate at the end of the cosine. */
  readonly minLr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled; on matrices only. */
  readonly weightDecay: number;
  /** Largest global gradient norm; 0 for no clipping. */
  readonly maxNorm: number;
  /** Probability of dropping embeddings, attention weights and block outputs. */
  readonly dropout: number;
  /** Of initialisation, data order and dropout. */
  readonly seed: number;
  /** Validate every so many steps, and at the end; 0 for never. */
  readonly valEvery: number;
  /** Batches of a validation; 0 for the whole validation set. */
  readonly valBatches: number;
  /** Show a sample every so many steps; 0 for never. */
  readonly sampleEvery: number;
  /** Tokens of a sample. */
  readonly sampleTokens: number;
  /** Save a checkpoint every so many steps, and at the end. */
  readonly saveEvery: number;
  /** Checkpoints kept: the newest so many, and the best. */
  readonly keep: number;
}

const DEFAULTS: TrainSettings = {
  batchSize: 4,
  seqLength: 1024,
  batchTokens: 0,
  steps: 1000,
  warmupSteps: 100,
  lr: 6e-4,
  minLr: 6e-5,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 1,
  dropout: 0,
  seed: 1,
  valEvery: 250,
  valBatches: 20,
  sampleEvery: 0,
  sampleTokens: 64,
  saveEvery: 250,
  keep: 2,
};

/** Smallest and largest value of each, and whether it must be whole. */
const RANGES: Record<keyof TrainSettings, [min: number, max: number, whole?: "whole"]> = {
  batchSize: [1, 65536, "whole"],
  seqLength: [1, 2 ** 20, "whole"],
  batchTokens: [1, 2 ** 31, "whole"],
  steps: [0, 2 ** 31, "whole"],
  warmupSteps: [0, 2 ** 31, "whole"],
  lr: [0, 1],
  minLr: [0, 1],
  beta1: [0, 0.99999],
  beta2: [0, 0.9999999],
  epsilon: [0, 1],
  weightDecay: [0, 10],
  maxNorm: [0, Number.MAX_VALUE],
  dropout: [0, 0.99],
  seed: [0, Number.MAX_SAFE_INTEGER, "whole"],
  valEvery: [0, 2 ** 31, "whole"],
  valBatches: [0, 2 ** 31, "whole"],
  sampleEvery: [0, 2 ** 31, "whole"],
  sampleTokens: [1, 65536, "whole"],
  saveEvery: [1, 2 ** 31, "whole"],
  keep: [1, 1000, "whole"],
};

/**
 * Settings with every gap filled: minLr defaults to a tenth of lr, batchTokens to one pass (B · T).
 *
 * @throws {UsageError} a value is out of range, or batchTokens is no multiple of B · T.
 */
export function trainSettings(partial: Partial<TrainSettings> = {}): TrainSettings {
  const merged = { ...DEFAULTS, minLr: (partial.lr ?? DEFAULTS.lr) / 10, ...partial };
  const pass = merged.batchSize * merged.seqLength;
  const settings = { ...merged, batchTokens: partial.batchTokens || pass };
  for (const [name, [min, max, whole]] of Object.entries(RANGES)) {
    const value = settings[name as keyof TrainSettings];
    if (typeof value !== "number" || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
      const expected = `${whole ? "an integer" : "a number"} from ${min} to ${max}`;
      throw new UsageError({ op: `training: ${name}`, expected, got: String(value) });
    }
  }
  if (settings.batchTokens % pass !== 0) {
    throw new UsageError({
      op: "training: batchTokens",
      expected: `a multiple of batchSize × seqLength = ${pass}`,
      got: String(settings.batchTokens),
      hint: `The nearest is ${Math.max(1, Math.round(settings.batchTokens / pass)) * pass}`,
    });
  }
  return settings;
}

/** Passes of B · T tokens in one step. */
export function accumulation({ batchTokens, batchSize, seqLength }: TrainSettings): number {
  return batchTokens / (batchSize * seqLength);
}

/** Learning rate of step 0, 1, …: linear warm-up, then a cosine from lr to minLr. */
export function learningRate({ lr, minLr, warmupSteps, steps }: TrainSettings, step: number): number {
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  if (step >= steps) return minLr;
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return minLr + (lr - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
