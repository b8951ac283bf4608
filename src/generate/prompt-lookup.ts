/** Lengths of the n-grams that are looked up: the longest first, the shortest that is worth a draft last. */
const LONGEST = 3;
const SHORTEST = 2;

/**
 * Drafts the continuation of a text from what it repeats: what followed the last occurrence of its last few tokens
 * (prompt lookup decoding, Saxena 2023; the drafts of Yang et al. 2023, "Inference with Reference").
 */
export class PromptLookup {
  readonly #tokens: number[] = [];
  /** For each length from SHORTEST on: where what followed the newest run of such tokens starts. */
  readonly #after: ReadonlyMap<number, Map<number, number>>;
  readonly #vocabSize: number;
  readonly #longestDraft: number;
  #reach: number;

  /** @param longestDraft most tokens of a draft */
  constructor(vocabSize: number, longestDraft: number) {
    this.#vocabSize = vocabSize;
    this.#longestDraft = this.#reach = longestDraft;
    const lengths = Array.from({ length: LONGEST - SHORTEST + 1 }, (_, i) => LONGEST - i);
    this.#after = new Map(lengths.map((length) => [length, new Map()]));
  }

  /** Adds a token of the text. */
  push(token: number): void {
    // What stood at the end until now has been followed: by this token.
    const end = this.#tokens.length;
    for (const [length, after] of this.#after) if (end >= length) after.set(this.#key(length), end);
    this.#tokens.push(token);
  }

  /** What may follow, at most `most` tokens; often nothing. */
  draft(most: number): number[] {
    const count = Math.min(most, this.#reach);
    if (count <= 0) return [];
    for (const [length, after] of this.#after) {
      const start = this.#tokens.length >= length ? after.get(this.#key(length)) : undefined;
      if (start === undefined) continue;
      // Where the text has a short period, what follows reaches its end, and the period repeats.
      const period = this.#tokens.length - start;
      return Array.from({ length: count }, (_, i) => this.#tokens[start + (i % period)]!);
    }
    return [];
  }

  /** Adapts to how many tokens of a draft were accepted: the next is twice as long, and a token longer. */
  learn(accepted: number): void {
    this.#reach = Math.min(this.#longestDraft, 2 * accepted + 1);
  }

  /** The last `length` tokens as one number: below 2^53 for three of a vocabulary of up to 2^17. */
  #key(length: number): number {
    let key = 0;
    for (let i = this.#tokens.length - length; i < this.#tokens.length; i++) {
      key = key * this.#vocabSize + this.#tokens[i]!;
    }
    return key;
  }
}
