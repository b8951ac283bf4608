import { termCounts, wordsOf } from "./terms.js";

/** Non-zero features of a text, by ascending index. */
export interface SparseRow {
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

export interface TfidfOptions {
  /** Least number of texts that contain a term. Default 5. */
  readonly minDf?: number | undefined;
  /** Most terms, those that occur most often. Default 2^21. */
  readonly maxFeatures?: number | undefined;
}

/**
 * TF-IDF of words and pairs of words, like scikit-learn's `TfidfVectorizer(ngram_range=(1, 2))`: counts times
 * ln((1 + n) / (1 + df)) + 1, with rows scaled to Euclidean length 1.
 */
export class Tfidf {
  readonly #indices: ReadonlyMap<string, number>;

  constructor(
    readonly terms: readonly string[],
    readonly idf: readonly number[],
  ) {
    this.#indices = new Map(terms.map((term, i) => [term, i]));
  }

  /** Finds the terms of a set of texts, and their inverse document frequencies. */
  static fit(texts: readonly string[], { minDf = 5, maxFeatures = 2 ** 21 }: TfidfOptions = {}): Tfidf {
    const frequencies = new Map<string, { documents: number; occurrences: number }>();
    for (const text of texts) {
      for (const [term, count] of termCounts(wordsOf(text))) {
        const frequency = frequencies.get(term);
        if (frequency) {
          frequency.documents++;
          frequency.occurrences += count;
        } else frequencies.set(term, { documents: 1, occurrences: count });
      }
    }
    const terms = [...frequencies].filter(([, { documents }]) => documents >= minDf);
    // Ties are broken by code units, so the choice is the same on every machine.
    terms.sort(([a, x], [b, y]) => y.occurrences - x.occurrences || (a < b ? -1 : 1));
    const kept = terms.slice(0, maxFeatures).sort(([a], [b]) => (a < b ? -1 : 1));
    return new Tfidf(
      kept.map(([term]) => term),
      kept.map(([, { documents }]) => Math.log((1 + texts.length) / (1 + documents)) + 1),
    );
  }

  transform(text: string): SparseRow {
    const found: [index: number, value: number][] = [];
    for (const [term, count] of termCounts(wordsOf(text))) {
      const index = this.#indices.get(term);
      if (index !== undefined) found.push([index, count * this.idf[index]!]);
    }
    found.sort(([a], [b]) => a - b);
    const norm = Math.sqrt(found.reduce((sum, [, value]) => sum + value * value, 0)) || 1;
    return {
      indices: Int32Array.from(found, ([index]) => index),
      values: Float64Array.from(found, ([, value]) => value / norm),
    };
  }
}
