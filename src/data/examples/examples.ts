/**
 * The common form of training data. Text, prompts, chats and labels all become examples: tokens with targets, which are negative
 * where the loss is masked. An order says which examples each pass of a run holds, and where. Batches, epochs and resuming need
 * nothing else.
 */

/** The tokens of a pass, [N] each, N = B · T. */
export interface BatchArrays {
  readonly tokens: Int32Array;
  /** The target of each token, a token or a class; negative where the loss mask is 0. */
  readonly targets: Int32Array;
  /** Each token's position in its document. */
  readonly positions: Int32Array;
  /** Index of the first token that each token sees. */
  readonly first: Int32Array;
  /** The type of each token, of models that tell two texts in one input apart; 0 unless an example sets it. */
  readonly tokenTypes: Int32Array;
  /** f32, for regression: the number at the token of a text that the head reads. */
  readonly values: Float32Array;
}

export interface Examples {
  /** Number of positions that an example takes in a pass. */
  length(example: number): number;
  /** Writes an example into a batch from position `at` on. Returns the number of its unmasked targets. */
  write(example: number, at: number, batch: BatchArrays): number;
}

/** An example in a pass, and its first position. */
export interface Placement {
  readonly example: number;
  readonly at: number;
}

/** The examples of each pass: a function of the seed and the pass, so a run resumes from a number. */
export interface PassOrder {
  pass(pass: number): readonly Placement[];
}

/** An order without end, epoch after epoch. */
export interface TrainingOrder extends PassOrder {
  epochsAfter(passes: number): number;
  /** Number of steps of `passesPerStep` passes for so many epochs; at least 1. */
  stepsFor(epochs: number, passesPerStep: number): number;
}

/** An order that goes through the examples once. */
export interface ValidationOrder extends PassOrder {
  readonly passes: number;
}

/** Fills a batch with a pass. Returns the number of unmasked targets. */
export function fillPass(examples: Examples, order: PassOrder, pass: number, batch: BatchArrays): number {
  let [end, counted] = [0, 0];
  for (const { example, at } of order.pass(pass)) {
    counted += examples.write(example, at, batch);
    end = at + examples.length(example);
  }
  // Empty positions: each sees only itself, is seen by none, and has no target.
  for (let n = end; n < batch.tokens.length; n++) {
    batch.positions[n] = 0;
    batch.first[n] = n;
  }
  return counted;
}
