import { UsageError } from "../errors.js";
import type { AddedToken } from "./vocabulary.js";

/**
 * Splits a text at its added tokens, like Hugging Face `tokenizers` (added_vocabulary.rs): of the tokens that begin at the same
 * position the longest is taken, and matches do not overlap. Tokens that are not normalized are searched first, in the
 * whole text; the others in the stretches between them.
 */
export class AddedTokenSplitter {
  readonly #rounds: readonly Round[];

  /**
   * @param allowed special tokens to recognize. If there are none, special tokens are matched all the same and left as
   *   plain text, as by tokenizers' `encode_special_tokens`: no other token is found inside them.
   * @throws {UsageError} one of `allowed` is not a special token of this vocabulary.
   */
  constructor(added: readonly AddedToken[], allowed: "all" | readonly string[]) {
    if (allowed !== "all") checkAllowed(added, allowed);
    const rounds = [added.filter((token) => !token.normalized), added.filter((token) => token.normalized)];
    const finds = ({ special, text }: AddedToken): boolean => !special || allowed === "all" || allowed.includes(text);
    this.#rounds = rounds
      .filter((tokens) => tokens.some(finds))
      .map((tokens) => new Round(allowed.length === 0 ? tokens : tokens.filter(finds), finds));
  }

  /** Calls back with each non-empty stretch of plain text and each added token, in order. */
  split(text: string, onText: OnText, onToken: OnToken): void {
    this.#splitFrom(0, text, 0, onText, onToken);
  }

  #splitFrom(round: number, text: string, start: number, onText: OnText, onToken: OnToken): void {
    if (round === this.#rounds.length) onText(text, start);
    else {
      const onRest: OnText = (rest, at) => this.#splitFrom(round + 1, rest, start + at, onText, onToken);
      this.#rounds[round]!.split(text, onRest, (id, from, to) => onToken(id, start + from, start + to));
    }
  }
}

/** @param start of the stretch in the text. */
type OnText = (text: string, start: number) => void;
/** @param start of the token in the text, including the white space that it absorbs. */
type OnToken = (id: number, start: number, end: number) => void;

/** Tokens that are matched together. */
class Round {
  readonly #pattern: RegExp;
  readonly #byText: ReadonlyMap<string, AddedToken>;
  readonly #finds: (token: AddedToken) => boolean;

  constructor(tokens: readonly AddedToken[], finds: (token: AddedToken) => boolean) {
    this.#byText = new Map(tokens.map((token) => [token.text, token]));
    this.#pattern = anyOf([...this.#byText.keys()]);
    this.#finds = finds;
  }

  split(text: string, onText: OnText, onToken: OnToken): void {
    let from = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#byText.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (!this.#finds(token) || (token.singleWord && touchesWord(text, start, end))) continue;
      // Not before the end of the last token, which may have absorbed the same white space.
      if (token.lstrip) start = Math.max(spacesStart(text, start), from);
      if (token.rstrip) end = spacesEnd(text, end);
      // A token of white space that the last one has absorbed.
      if (start >= end) continue;
      if (from < start) onText(text.slice(from, start), from);
      onToken(token.id, start, end);
      from = end;
    }
    if (from < text.length) onText(from === 0 ? text : text.slice(from), from);
  }
}

/** Longer texts first: a regular expression takes the first alternative that matches. */
function anyOf(texts: readonly string[]): RegExp {
  const escaped = texts
    .toSorted((a, b) => b.length - a.length)
    .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "g");
}

/** `\w` in Rust's regular expressions. */
const WORD_CHARACTER = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

function touchesWord(text: string, start: number, end: number): boolean {
  const before = text.codePointAt(start - (isLowSurrogate(text.charCodeAt(start - 1)) ? 2 : 1));
  const after = text.codePointAt(end);
  return [before, after].some((c) => c !== undefined && WORD_CHARACTER.test(String.fromCodePoint(c)));
}

const isLowSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xdc00;

/** Unicode's White_Space: JavaScript's `\s` contains U+FEFF and lacks U+0085. */
const isSpace = (unit: number): boolean => unit === 0x85 || (unit !== 0xfeff && /\s/.test(String.fromCharCode(unit)));

function spacesStart(text: string, end: number): number {
  let start = end;
  while (start > 0 && isSpace(text.charCodeAt(start - 1))) start--;
  return start;
}

function spacesEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isSpace(text.charCodeAt(end))) end++;
  return end;
}

/** @throws {UsageError} one of `allowed` is not a special token of this vocabulary. */
export function checkAllowed(added: readonly AddedToken[], allowed: readonly string[]): void {
  const special = added.filter((token) => token.special).map(({ text }) => text);
  const unknown = allowed.find((text) => !special.includes(text));
  if (unknown === undefined) return;
  throw new UsageError({
    op: "encoding: allowedSpecial",
    expected: `special tokens of this vocabulary (${special.join(", ") || "it has none"})`,
    got: JSON.stringify(unknown),
  });
}
