import { ContextLengthError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** A prompt in parts, in their order. */
export interface PromptParts {
  readonly examples?: readonly string[];
  readonly before?: string;
  /** A text that may be long. */
  readonly document?: string;
  readonly after: string;
}

/** What is left out of a prompt that does not fit. */
export interface Omitted {
  /** Examples, the first ones. */
  readonly examples: number;
  /** Tokens at the end of the text or document. */
  readonly tokens: number;
}

/** A prompt as the model reads it. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly text: string;
  readonly omitted: Omitted;
}

export interface PromptLimit {
  /** For messages: `summary: prompt`. */
  readonly op: string;
  /** Tokens that the prompt may have. */
  readonly room: number;
  /** Why no more: `the model's context of 1024 less 100 to be written`. */
  readonly reason: string;
  /** Whether of a document the beginning will do. */
  readonly truncate: boolean;
}

/**
 * Makes a prompt fit: examples are left out first, from the first on; then, if that is allowed, the document's end.
 *
 * @throws {ContextLengthError} it does not fit all the same.
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
  const hint = document === "" || limit.truncate ? "" : "With truncate the beginning of the text is read";
  throw new ContextLengthError({ op: limit.op, expected, got, ...(hint && { hint }) });
}

/**
 * The beginning of a document, as much as there is room for (news has there what matters), and what comes after it.
 *
 * @param room tokens, those after the document included.
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
