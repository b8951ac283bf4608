/** The tokens of a corpus and the order of their suffixes: {@link suffixArray}. */
export interface SuffixIndex {
  /** Tokens in the corpus. */
  readonly length: number;
  token(position: number): number;
  /** The position of the suffix of this rank. */
  suffix(rank: number): number;
}

/** A run of query tokens in the corpus: suffixes of the ranks [from, to) begin with it. */
export interface Match {
  /** Tokens. */
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Searches a corpus for runs of tokens. Naively, a run is compared with the tokens at every position; in the order of the
 * suffixes all positions that begin with it are neighbours, found by bisection in O(length · log corpus).
 */
export class SuffixSearch {
  readonly index: SuffixIndex;

  constructor(index: SuffixIndex) {
    this.index = index;
  }

  /** Where query[start, end) occurs in the corpus. An empty run occurs everywhere. */
  find(query: ArrayLike<number>, start: number, end: number): Match {
    const from = this.#bisect(query, start, end, false);
    return { length: end - start, from, to: this.#bisect(query, start, end, true) };
  }

  /** The longest run that begins at query[start], of at most `limit` tokens, and where it occurs; length 0: nowhere. */
  longest(query: ArrayLike<number>, start: number, limit = query.length - start): Match {
    const end = start + limit;
    // Of all suffixes the two beside the place where the query would stand have most in common with it.
    const rank = this.#bisect(query, start, end, false);
    const before = rank > 0 ? this.#common(query, start, end, rank - 1) : 0;
    const after = rank < this.index.length ? this.#common(query, start, end, rank) : 0;
    const length = Math.max(before, after);
    return length === 0 ? { length: 0, from: 0, to: 0 } : this.find(query, start, start + length);
  }

  /** The first rank whose suffix is not before the run; with `after`, the first that is behind all that begin with it. */
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

  /** Below 0 where the suffix comes before the run, 0 where it begins with it. */
  #compare(query: ArrayLike<number>, start: number, end: number, rank: number): number {
    const common = this.#common(query, start, end, rank);
    if (start + common === end) return 0;
    const position = this.index.suffix(rank) + common;
    return position === this.index.length ? -1 : this.index.token(position) - query[start + common]!;
  }

  /** Tokens that a suffix and the run have in common at their beginning. */
  #common(query: ArrayLike<number>, start: number, end: number, rank: number): number {
    const { index } = this;
    const position = index.suffix(rank);
    const limit = Math.min(end - start, index.length - position);
    let common = 0;
    while (common < limit && index.token(position + common) === query[start + common]) common++;
    return common;
  }
}
