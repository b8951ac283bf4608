import { ContextLengthError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** The parts of a prompt, in order. */
export interface PromptParts {
  readonly examples?: readonly string[];
  readonly before?: string;
  /** A text that may be cut. */
  readonly document?: string;
  readonly after: string;
}

/** The parts left out of a prompt that does not fit. */
export interface Omitted {
  /** Number of examples, from the first on. */
  readonly examples: number;
  /** Number of tokens at the end of the document. */
  readonly tokens: number;
}

/** A prompt that fits. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly text: string;
  readonly omitted: Omitted;
}

export interface PromptLimit {
  /** For messages: `summary: prompt`. */
  readonly op: string;
  /** Most tokens of the prompt. */
  readonly room: number;
  /** The reason for the limit: `the model's context of 1024 less 100 to generate`. */
  readonly reason: string;
  /** Whether the document may be cut to its beginning. */
  readonly truncate: boolean;
}

/**
 * Makes a prompt fit by leaving out examples, from the first on, and then, if allowed, the document's end.
 *
 * @throws {ContextLengthError} it still does not fit.
 */
export function fitPrompt(tokenizer: Tokenizer, parts: PromptParts, limit: PromptLimit): Prompt {
  const { examples = [], before = "", document = "", after } = parts;
  let ids: readonly number[] = [];
  for (let skip = 0; skip <= examples.length; skip++) {
    const text = `${examples.slice(skip).join("")}${before}${document}${after}`;
    ids = [...tokenizer.encode(text, { addSpecialTokens: false })];
    if (ids.length <= limit.room) return { ids, text, omitted: { examples: skip, tokens: 0 } };
  }
  if (limit.truncate && document !== "") {
    const head = [...tokenizer.encode(before, { addSpecialTokens: false })];
    const cut = cutDocument(tokenizer, document, after, limit.room - head.length);
    const shorter = [...head, ...cut.ids];
    const omitted = { examples: examples.length, tokens: cut.omitted };
    if (shorter.length <= limit.room) return { ids: shorter, text: tokenizer.decode(shorter), omitted };
  }
  const expected = `at most ${Math.max(0, limit.room)} tokens, ${limit.reason}`;
  const got = `${ids.length}${examples.length > 0 ? ", without any of the examples" : ""}`;
  const hint = document === "" || limit.truncate ? "" : "With truncate, the text is cut to its beginning";
  throw new ContextLengthError({ op: limit.op, expected, got, ...(hint && { hint }) });
}

/**
 * Cuts a document to its beginning, where news has what matters, and appends the text after it.
 *
 * @param room most tokens, those after the document included
 */
export function cutDocument(
  tokenizer: Tokenizer,
  document: string,
  after: string,
  room: number,
): { readonly ids: number[]; readonly omitted: number } {
  const end = tokenizer.encode(after, { addSpecialTokens: false });
  const all = tokenizer.encode(document, { addSpecialTokens: false });
  const start = all.slice(0, Math.max(1, room - end.length));
  return { ids: [...start, ...end], omitted: all.length - start.length };
}
