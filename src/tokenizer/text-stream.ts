import type { StreamDecoder } from "./token-bytes.js";

/**
 * The text of one sample as it grows. Text that may become a stop string is held back until it is
 * known not to be one; a stop string and the text after it never come out.
 */
export class TextStream {
  readonly #decoder: StreamDecoder;
  readonly #stop: readonly string[];
  #held = "";
  #stopped = false;

  constructor(decoder: StreamDecoder, stop: readonly string[] = []) {
    this.#decoder = decoder;
    this.#stop = stop;
  }

  /** Whether a stop string was found. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Adds a token and returns the text that is now certain. */
  push(id: number): string {
    return this.#add(this.#decoder.push(id));
  }

  /** Returns the rest of the text, at the end. */
  end(): string {
    if (this.#stopped) return "";
    const rest = this.#add(this.#decoder.flush());
    return this.#stopped ? rest : rest + this.#held;
  }

  #add(piece: string): string {
    const text = this.#held + piece;
    const end = this.#findStop(text);
    if (end !== undefined) {
      this.#stopped = true;
      this.#held = "";
      return text.slice(0, end);
    }
    const safe = text.length - this.#openEnd(text);
    this.#held = text.slice(safe);
    return text.slice(0, safe);
  }

  /** The start of the first stop string. */
  #findStop(text: string): number | undefined {
    const places = this.#stop.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
    return places.length > 0 ? Math.min(...places) : undefined;
  }

  /** Length of the longest suffix of `text` that is a prefix of a stop string. */
  #openEnd(text: string): number {
    let longest = 0;
    for (const stop of this.#stop) {
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
        if (text.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }
}
