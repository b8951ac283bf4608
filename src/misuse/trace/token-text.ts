import type { Tokenizer } from "../../tokenizer/tokenizer.js";

const WORD_BEFORE = /[\p{L}\p{N}\p{M}]$/u;
const WORD_AFTER = /^[\p{L}\p{N}\p{M}]/u;

/** Maps token boundaries of a text to characters, and finds which of them are word boundaries. */
export class TokenText {
  readonly text: string;
  /** [tokens + 1] UTF-16 units before each token boundary; -1 inside a character. */
  readonly #characters: Int32Array;

  constructor(tokenizer: Tokenizer, tokens: ArrayLike<number>) {
    this.#characters = new Int32Array(tokens.length + 1);
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for (let i = 0; i < tokens.length; i++) {
      const bytes = tokenizer.idToBytes(tokens[i]!);
      const cut = bytes.length > 0 && (bytes[0]! & 0xc0) === 0x80;
      // The decoder emits bytes of an unfinished character before this byte: the boundary is after them.
      if (!cut) text += decoder.decode();
      this.#characters[i] = cut ? -1 : text.length;
      text += decoder.decode(bytes, { stream: true });
    }
    this.text = text + decoder.decode();
    this.#characters[tokens.length] = this.text.length;
  }

  /** Whether there is a word boundary before this token. */
  isEdge(position: number): boolean {
    const at = this.#characters[position]!;
    if (at < 0) return false;
    const [before, after] = [this.text.slice(Math.max(0, at - 2), at), this.text.slice(at, at + 2)];
    return !(WORD_BEFORE.test(before) && WORD_AFTER.test(after));
  }

  /** UTF-16 units before a token that does not begin inside a character. */
  characterAt(position: number): number {
    return this.#characters[position]!;
  }
}
