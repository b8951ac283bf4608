/**
 * The one shape of training data. Text, prompts, chats and labels all become examples: tokens with a loss mask, in which the
 * targets that don't count are negative. An order says which examples each pass of a run holds, and where. Batches, epochs and
 * resuming know nothing else.
 */

/** The tokens of a pass, [N] each, N = B · T. */
export interface BatchArrays {
  readonly tokens: Int32Array;
  /** What each token is to predict, a token or a class; negative where the loss mask is 0. */
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
  /** Slots that an example takes in a pass. */
  length(example: number): number;
  /** Writes an example into a batch from slot `at` on; returns how many of its targets count. */
  write(example: number, at: number, batch: BatchArrays): number;
}

/** An example in a pass, and its first slot. */
export interface Placement {
  readonly example: number;
  readonly at: number;
}

/** The examples of each pass: a function of the seed and the pass, so that a run resumes at a number. */
export interface PassOrder {
  pass(pass: number): readonly Placement[];
}

/** An order without end, epoch after epoch. */
export interface TrainingOrder extends PassOrder {
  epochsAfter(passes: number): number;
  /** Steps of `passesPerStep` passes that go through the examples so often; at least 1. */
  stepsFor(epochs: number, passesPerStep: number): number;
}

/** An order that goes through the examples once. */
export interface ValidationOrder extends PassOrder {
  readonly passes: number;
}

/** Fills a batch with a pass; returns how many targets count. */
export function fillPass(examples: Examples, order: PassOrder, pass: number, batch: BatchArrays): number {
  let [end, counted] = [0, 0];
  for (const { example, at } of order.pass(pass)) {
    counted += examples.write(example, at, batch);
    end = at + examples.length(example);
  }
  // Slots that stay empty: each sees itself alone, nobody sees it, and it has no target.
  for (let n = end; n < batch.tokens.length; n++) {
    batch.positions[n] = 0;
    batch.first[n] = n;
  }
  return counted;
}
