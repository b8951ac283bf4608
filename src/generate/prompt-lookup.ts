import { DraftLength } from "./draft-length.js";

/** Lengths of the n-grams to look up: the longest first; shorter ones than the last are not worth a draft. */
const LONGEST = 3;
const SHORTEST = 2;

/**
 * Drafts the continuation of a text from its repetitions: the tokens that followed the last occurrence of its last few
 * tokens (prompt lookup decoding, Saxena 2023; the drafts of Yang et al. 2023, "Inference with Reference"). Naively the whole
 * text is searched backwards before each draft. Here a map keeps the newest occurrence of every n-gram, so that a token and
 * a draft each take one look-up per length.
 */
export class PromptLookup {
  readonly #tokens: number[] = [];
  /** For each length from SHORTEST on: the index after the newest occurrence of an n-gram. */
  readonly #after: ReadonlyMap<number, Map<number, number>>;
  readonly #vocabSize: number;
  readonly #length: DraftLength;

  /** @param longestDraft most tokens of a draft */
  constructor(vocabSize: number, longestDraft: number) {
    this.#vocabSize = vocabSize;
    this.#length = new DraftLength(longestDraft);
    const lengths = Array.from({ length: LONGEST - SHORTEST + 1 }, (_, i) => LONGEST - i);
    this.#after = new Map(lengths.map((length) => [length, new Map()]));
  }

  /** Adds a token of the text. */
  push(token: number): void {
    // The n-grams that ended the text until now have been followed: by this token.
    const end = this.#tokens.length;
    for (const [length, after] of this.#after) if (end >= length) after.set(this.#key(length), end);
    this.#tokens.push(token);
  }

  /** Drafts at most `most` tokens; often none. */
  draft(most: number): number[] {
    const count = Math.min(most, this.#length.next);
    if (count <= 0) return [];
    for (const [length, after] of this.#after) {
      const start = this.#tokens.length >= length ? after.get(this.#key(length)) : undefined;
      if (start === undefined) continue;
      // If the text has a short period, the draft reaches the end of the text, and repeats the period.
      const period = this.#tokens.length - start;
      return Array.from({ length: count }, (_, i) => this.#tokens[start + (i % period)]!);
    }
    return [];
  }

  /** Adapts to how many tokens of a draft were accepted. */
  learn(accepted: number): void {
    this.#length.learn(accepted);
  }

  /** The last `length` tokens as one number: below 2^53 for three tokens of a vocabulary of up to 2^17. */
  #key(length: number): number {
    let key = 0;
    for (let i = this.#tokens.length - length; i < this.#tokens.length; i++) {
      key = key * this.#vocabSize + this.#tokens[i]!;
    }
    return key;
  }
}
