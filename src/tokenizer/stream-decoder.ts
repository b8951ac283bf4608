import type { TokenBytes } from "./token-bytes.js";

/** Text of a stream of ids: characters come out whole, each as soon as its last byte is there. */
export class StreamDecoder {
  readonly #tokens: TokenBytes;
  #decoder = newDecoder();

  constructor(tokens: TokenBytes) {
    this.#tokens = tokens;
  }

  /**
   * The text that `id` completes; empty while a character is unfinished.
   *
   * @throws {TokenizerError} no token has this id.
   */
  push(id: number): string {
    return this.#decoder.decode(this.#tokens.of(id), { stream: true });
  }

  /** What is left at the end: U+FFFD if a character stayed unfinished, else nothing. The decoder can then be reused. */
  flush(): string {
    const rest = this.#decoder.decode();
    this.#decoder = newDecoder();
    return rest;
  }
}

function newDecoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
