/**
 * Every error this package throws on bad input is a {@link GPT2Error}: it says what was being done, what was expected,
 * what came instead, and what to do about it. A program can tell them apart by class or by `code`.
 */
import { printable } from "./util/printable.js";

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
    // Parts may come from a file or a hub, and messages end on terminals. `details` has them as they came.
    super(printable(message), cause === undefined ? undefined : { cause });
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

/** A data set that is not where it was looked for. */
export class MissingDataError extends DataError {}

/** Tensors whose shapes do not fit the operation: a bug in a Program, never the user's fault. */
export class ShapeError extends GPT2Error {
  override readonly code = "ERR_SHAPE";
}

/** A backend that is not available here, or that failed. */
export class BackendError extends GPT2Error {
  override readonly code = "ERR_BACKEND";
}

/** A model, backend, array or executable used after its `dispose()`. */
export class DisposedError extends GPT2Error {
  override readonly code = "ERR_DISPOSED";

  /** @param what `model`, `array` */
  constructor(op: string, what: string) {
    super({ op, expected: `the ${what} before its disposal`, got: "a disposed one" });
  }
}

/** A plan that needs more memory than there is. */
export class OutOfMemoryError extends GPT2Error {
  override readonly code = "ERR_MEMORY";
}

/** A prompt or sequence longer than the model's context. */
export class ContextLengthError extends GPT2Error {
  override readonly code = "ERR_CONTEXT_LENGTH";
}

/** A constraint that is malformed, that asks for something unsupported, or that nothing can satisfy. */
export class ConstraintError extends GPT2Error {
  override readonly code = "ERR_CONSTRAINT";
  /** The place: a JSON pointer into a schema, or line and column in a grammar, or a position in an expression. */
  readonly at: string | undefined;

  constructor({ at, ...details }: ErrorDetails & { readonly at?: string | undefined }) {
    super(details);
    this.at = at;
  }
}

/** A constraint that takes more work or memory than one request may. */
export class ConstraintLimitError extends ConstraintError {
  constructor(what: string, most: number) {
    const hint = "Make it smaller: fewer alternatives, lower bounds of repetitions, less nesting";
    super({ op: "constraint", expected: `at most ${most.toLocaleString("en")} ${what}`, got: "more", hint });
  }
}

/** Why a download failed. */
export type DownloadFailure =
  /** 401: the server wants a token, or another one. */
  | "unauthorized"
  /** 403: the token may not have it. */
  | "forbidden"
  /** 404: no such repository, revision or file. */
  | "not-found"
  /** 429, still after several tries. */
  | "rate-limited"
  /** 5xx, still after several tries. */
  | "server"
  /** No answer: no network, a wrong address, a refused certificate, a timeout. */
  | "unreachable"
  /** The connection broke off, again and again. */
  | "interrupted"
  /** What arrived is not what the server announced. */
  | "checksum"
  /** The answer is not a file or a hub's: a login page, a proxy's message. */
  | "unexpected"
  /** No room for the file. */
  | "disk-full"
  /** Files may not be written there. */
  | "not-writable"
  /** It is not in the cache, and the network may not be used. */
  | "offline";

export interface DownloadErrorDetails extends ErrorDetails {
  readonly reason: DownloadFailure;
  /** Of the HTTP response, if there was one. */
  readonly status?: number | undefined;
  /** Seconds after which the server wants to be asked again. */
  readonly retryAfter?: number | undefined;
}

/** A model that could not be fetched. What arrived of it is kept and resumed, unless the message says otherwise. */
export class DownloadError extends GPT2Error {
  override readonly code = "ERR_DOWNLOAD";
  readonly reason: DownloadFailure;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor({ reason, status, retryAfter, ...details }: DownloadErrorDetails) {
    super(details);
    this.reason = reason;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
