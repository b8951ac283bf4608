/** The tokens of a corpus and their {@link suffixArray}. */
export interface SuffixIndex {
  /** Number of tokens in the corpus. */
  readonly length: number;
  token(position: number): number;
  /** The position of the suffix of this rank. */
  suffix(rank: number): number;
}

/** A run of query tokens in the corpus: the suffixes of ranks [from, to) begin with it. */
export interface Match {
  /** Number of tokens. */
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Searches a corpus for runs of tokens. Naively, compare a run with the tokens at every position. In the suffix array all
 * positions that begin with it are neighbours, which bisection finds in O(length · log corpus).
 */
export class SuffixSearch {
  readonly index: SuffixIndex;

  constructor(index: SuffixIndex) {
    this.index = index;
  }

  /** Finds query[start, end) in the corpus. An empty run occurs everywhere. */
  find(query: ArrayLike<number>, start: number, end: number): Match {
    const from = this.#bisect(query, start, end, false);
    return { length: end - start, from, to: this.#bisect(query, start, end, true) };
  }

  /** The longest run from query[start] on, of at most `limit` tokens, that occurs in the corpus; length 0 if none does. */
  longest(query: ArrayLike<number>, start: number, limit = query.length - start): Match {
    const end = start + limit;
    // The suffixes on both sides of the query's place in the order have the most in common with it.
    const rank = this.#bisect(query, start, end, false);
    const before = rank > 0 ? this.#common(query, start, end, rank - 1) : 0;
    const after = rank < this.index.length ? this.#common(query, start, end, rank) : 0;
    const length = Math.max(before, after);
    return length === 0 ? { length: 0, from: 0, to: 0 } : this.find(query, start, start + length);
  }

  /** The first rank whose suffix is not before the run; with `after`, the first after all suffixes that begin with it. */
  #bisect(query: ArrayLike<number>, start: number, end: number, after: boolean): number {
    let [low, high] = [0, this.index.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(query, start, end, middle);
      if (order < 0 || (after && order === 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Below 0 if the suffix comes before the run, 0 if it begins with the run. */
  #compare(query: ArrayLike<number>, start: number, end: number, rank: number): number {
    const common = this.#common(query, start, end, rank);
    if (start + common === end) return 0;
    const position = this.index.suffix(rank) + common;
    return position === this.index.length ? -1 : this.index.token(position) - query[start + common]!;
  }

  /** Length of the common prefix of a suffix and the run. */
  #common(query: ArrayLike<number>, start: number, end: number, rank: number): number {
    const { index } = this;
    const position = index.suffix(rank);
    const limit = Math.min(end - start, index.length - position);
    let common = 0;
    while (common < limit && index.token(position + common) === query[start + common]) common++;
    return common;
  }
}
