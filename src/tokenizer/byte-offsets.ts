import { TokenizerError } from "../errors.js";

/**
 * Positions of the tokens of a byte-level BPE in their text. The tokens are the text's UTF-8 in order, except for a space added
 * in front and for white space that some special tokens absorb. Spaces at a token's ends are excluded, as by tokenizers'
 * `trim_offsets`.
 */
export class ByteOffsets {
  readonly #text: string;
  readonly #bytes: Uint8Array;
  /** [bytes + 1] start, in UTF-16 units, of the character to which each byte belongs. */
  readonly #starts: Uint32Array;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#bytes = new TextEncoder().encode(text);
    this.#starts = new Uint32Array(this.#bytes.length + 1);
    let [at, unit] = [0, 0];
    for (const character of text) {
      const code = character.codePointAt(0)!;
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      this.#starts.fill(unit, at, at + size);
      at += size;
      unit += character.length;
    }
    this.#starts[at] = unit;
  }

  /** Start and end of the next token, in UTF-16 units. @throws {TokenizerError} its bytes are not there in the text. */
  next(token: Uint8Array): [start: number, end: number] {
    let [from, length] = [this.#at, token.length];
    if (!this.#matches(token, from)) {
      if (token[0] === SPACE && this.#matches(token.subarray(1), from)) length--;
      else {
        while (this.#isSpace(from) && !this.#matches(token, from)) from++;
        if (!this.#matches(token, from)) {
          const got = JSON.stringify(new TextDecoder().decode(token));
          throw new TokenizerError({
            op: "positions of tokens in a text",
            expected: "tokens that make up the text",
            got,
          });
        }
      }
    }
    this.#at = from + length;
    return this.#trimmed(from, this.#at);
  }

  #trimmed(from: number, to: number): [start: number, end: number] {
    let [first, last] = [from, to];
    while (first < last && this.#bytes[first] === SPACE) first++;
    while (last > first && this.#bytes[last - 1] === SPACE) last--;
    const start = this.#starts[first]!;
    if (first === last) return [start, start];
    // A token that ends within a character gets the whole character.
    let end = last;
    while (end < this.#bytes.length && this.#starts[end] === this.#starts[last - 1]) end++;
    return [start, this.#starts[end]!];
  }

  #matches(token: Uint8Array, from: number): boolean {
    if (from + token.length > this.#bytes.length) return false;
    for (let i = 0; i < token.length; i++) if (this.#bytes[from + i] !== token[i]) return false;
    return true;
  }

  #isSpace(at: number): boolean {
    return at < this.#bytes.length && /\s/.test(this.#text[this.#starts[at]!]!);
  }
}

const SPACE = 0x20;
