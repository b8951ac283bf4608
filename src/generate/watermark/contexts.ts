/**
 * Where to look for an earlier occurrence of a context, because a repeated context is sampled without the mark: in the
 * generated text, in prompt and text (then the first tokens, whose context is incomplete, are unmarked), or nowhere. Like
 * vLLM's `deduplicate_contexts`.
 */
export type ContextScope = "single-turn" | "all" | "none";

export interface ContextOptions {
  readonly width: number;
  readonly scope: ContextScope;
  /** Number of newest positions to search. */
  readonly maxHistory: number;
}

/**
 * The last tokens of a text being written, -1 before its beginning, and whether the same tokens occurred before. Key and
 * context decide a token: deciding twice by the same context would make texts loop, and add no evidence.
 */
export class Contexts {
  readonly current: Int32Array;
  readonly #options: ContextOptions;
  readonly #unmarkedStart: boolean;
  /** The last position of each context. */
  readonly #last = new Map<string, number>();
  /** Number of tokens so far, in prompt and text. */
  #length = 0;
  #generated = 0;

  /** @param unmarkedStart whether the first tokens, whose context is incomplete, are unmarked */
  constructor(prompt: readonly number[], options: ContextOptions, unmarkedStart = false) {
    this.#options = options;
    this.#unmarkedStart = unmarkedStart || options.scope === "all";
    this.current = new Int32Array(options.width).fill(-1);
    if (options.scope !== "all") return;
    for (const token of prompt) this.#add(token);
    // The prompt's contexts count as seen, but the text's own contexts start over.
    this.current.fill(-1);
  }

  /** Whether the next token must be sampled without the mark. */
  get repeated(): boolean {
    const { scope, width, maxHistory } = this.#options;
    if (this.#unmarkedStart && this.#generated < width) return true;
    if (scope === "none") return false;
    const last = this.#last.get(this.current.join());
    return last !== undefined && last >= this.#length - maxHistory;
  }

  push(token: number): void {
    this.#generated++;
    this.#add(token);
  }

  #add(token: number): void {
    if (this.#options.scope !== "none") this.#last.set(this.current.join(), this.#length);
    this.#length++;
    this.current.copyWithin(0, 1);
    this.current[this.#options.width - 1] = token;
  }
}
