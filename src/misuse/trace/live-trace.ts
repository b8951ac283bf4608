import type { GeneratedToken } from "../../generate/generate.js";
import { type Match, SuffixSearch } from "./search.js";
import type { TokenIndex } from "./token-index.js";

/** A token of a text being written, and whether it lies in a span. */
export interface TracedToken<T> {
  readonly token: T;
  readonly inSpan: boolean;
}

/**
 * Traces a text while it is written. After each token it knows the longest run ending there that occurs in the corpus; a run
 * of at least `minTokens` is a span. A token is held back until a span includes it or no longer can, so at most
 * `minTokens - 1` tokens wait. A text of n tokens takes at most 2n searches.
 *
 *     for await (const token of model.generate(prompt)) for (const { token, inSpan } of live.push(token.token, token)) …
 */
export class LiveTrace<T> {
  readonly #search: SuffixSearch;
  readonly #minTokens: number;
  #run: number[] = [];
  /** The newest tokens of the run, not returned yet. */
  #held: T[] = [];

  constructor(search: SuffixSearch, minTokens: number) {
    this.#search = search;
    this.#minTokens = minTokens;
  }

  /** Adds a token. Returns the tokens that are now decided, in order. */
  push(id: number, token: T): TracedToken<T>[] {
    this.#run.push(id);
    this.#held.push(token);
    while (this.#run.length > 0 && isEmpty(this.#search.find(this.#run, 0, this.#run.length))) this.#run.shift();
    if (this.#run.length >= this.#minTokens) return this.#release(this.#held.length, true);
    return this.#release(this.#held.length - this.#run.length, false);
  }

  /** Returns the remaining tokens, at the end of the text. */
  end(): TracedToken<T>[] {
    this.#run = [];
    return this.#release(this.#held.length, false);
  }

  #release(count: number, inSpan: boolean): TracedToken<T>[] {
    return this.#held.splice(0, Math.max(0, count)).map((token) => ({ token, inSpan }));
  }
}

const isEmpty = ({ from, to }: Match): boolean => from === to;

/** A generated token, and whether it lies in a run of tokens from the corpus. */
export interface TracedGeneration extends GeneratedToken {
  readonly inSpan: boolean;
}

/** Shortest span to mark while a text is written, when no ranking can yet leave out the common ones. */
export const LIVE_MIN_TOKENS = 8;

/**
 * Marks the tokens of `model.generate` that lie in a run of tokens from the corpus. Each sample is traced from its first
 * generated token on. The index must have been made with the model's tokenizer.
 *
 *     for await (const { text, inSpan } of traceGeneration(index, model.generate("Once"))) write(inSpan ? underline(text) : text);
 */
export async function* traceGeneration(
  index: TokenIndex,
  tokens: AsyncIterable<GeneratedToken>,
  { minTokens = LIVE_MIN_TOKENS }: { readonly minTokens?: number | undefined } = {},
): AsyncGenerator<TracedGeneration, void, undefined> {
  const search = new SuffixSearch(index);
  const samples = new Map<number, LiveTrace<GeneratedToken>>();
  for await (const token of tokens) {
    let live = samples.get(token.sample);
    if (live === undefined) samples.set(token.sample, (live = new LiveTrace(search, minTokens)));
    const known = live.push(token.token, token);
    if (token.finishReason) known.push(...live.end());
    for (const { token: traced, inSpan } of known) yield { ...traced, inSpan };
  }
}
