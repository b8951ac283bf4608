/**
 * Every error this package throws on bad input is a {@link GPT2Error}: it says what was being done, what was expected,
 * what came instead, and what to do about it. A program can tell them apart by class or by `code`.
 */

/** The parts of an error's message, each its own field so that programs need not parse text. */
export interface ErrorDetails {
  /** What was being done, with the file, tensor or option concerned: `reading model.safetensors: tensor h.0.ln_1.weight`. */
  readonly op: string;
  readonly expected?: string;
  readonly got?: string;
  /** What the user can do next. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class GPT2Error extends Error {
  readonly code: string = "ERR_GPT2";
  readonly details: ErrorDetails;

  constructor(details: ErrorDetails) {
    const { op, expected, got, hint, cause } = details;
    let message = op;
    if (expected !== undefined) message += `: expected ${expected}`;
    if (got !== undefined) message += `${expected === undefined ? ": " : ", "}got ${got}`;
    if (hint !== undefined) message += `. ${hint}`;
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.details = details;
  }
}

/** A wrong argument or option. */
export class UsageError extends GPT2Error {
  override readonly code = "ERR_USAGE";
}

/** A model configuration that no GPT-2 can have. */
export class ConfigError extends GPT2Error {
  override readonly code = "ERR_CONFIG";
}

/** A model file that is missing, damaged, or not of the kind it claims to be. */
export class CheckpointError extends GPT2Error {
  override readonly code = "ERR_CHECKPOINT";
}

/** A tokenizer file that is malformed, or an id outside the vocabulary. */
export class TokenizerError extends GPT2Error {
  override readonly code = "ERR_TOKENIZER";
}

/** A data set or token shard that is missing, empty or damaged. */
export class DataError extends GPT2Error {
  override readonly code = "ERR_DATA";
}

/** Tensors whose shapes do not fit the operation: a bug in a Program, never the user's fault. */
export class ShapeError extends GPT2Error {
  override readonly code = "ERR_SHAPE";
}

/** A backend that is not available here, or that failed. */
export class BackendError extends GPT2Error {
  override readonly code = "ERR_BACKEND";
}

/** A plan that needs more memory than there is. */
export class OutOfMemoryError extends GPT2Error {
  override readonly code = "ERR_MEMORY";
}

/** A prompt or sequence longer than the model's context. */
export class ContextLengthError extends GPT2Error {
  override readonly code = "ERR_CONTEXT_LENGTH";
}
