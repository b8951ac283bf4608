import { quantile } from "../metrics/metric.js";
import type { NgramFilter } from "./ngram-filter.js";
import { NgramScanner } from "./ngram-scanner.js";
import type { ItemText } from "./words.js";
import { lastWords, normalizedWords } from "./words.js";

/** Overlap statistics of one text. */
export interface ItemOverlap {
  readonly ngrams: number;
  /** N-grams that the filter contains. */
  readonly found: number;
  /** The longest passage whose n-grams are all found. */
  readonly longest?: Passage;
}

export interface Passage {
  readonly words: number;
  /** Normalized, cut to {@link PASSAGE_WORDS} words. */
  readonly text: string;
}

const PASSAGE_WORDS = 40;

/** Share of n-grams found; 0 for a text without n-grams. */
export const overlapShare = ({ ngrams, found }: ItemOverlap): number => (ngrams === 0 ? 0 : found / ngrams);

/** Overlap statistics of a text, or of several that belong together. */
export function measureOverlap(filter: NgramFilter, texts: readonly ItemText[]): ItemOverlap {
  return new OverlapMeter(filter).measure(texts);
}

/** Looks up texts in a filter, one after another. */
export class OverlapMeter {
  readonly #filter: NgramFilter;
  readonly #scanner: NgramScanner;
  #ngrams = 0;
  #found = 0;
  /** Length of the current run of found n-grams. */
  #run = 0;
  #longestRun = 0;
  #passage = "";

  constructor(filter: NgramFilter) {
    this.#filter = filter;
    this.#scanner = new NgramScanner(filter.n);
  }

  /** Measures the texts of an item; n-grams do not cross texts. */
  measure(texts: readonly ItemText[]): ItemOverlap {
    for (const text of texts) {
      this.begin();
      if (typeof text === "string") this.add(text);
      else {
        this.#scanner.push(lastWords(text.before, this.#filter.n - 1).join(" "));
        this.add(text.text);
      }
    }
    return this.take();
  }

  /** Starts a new text. */
  begin(): void {
    this.#scanner.begin();
    this.#run = 0;
  }

  /** Continues the text. */
  add(text: string): void {
    const { n, bloom } = this.#filter;
    const wordsBefore = this.#scanner.words;
    const count = this.#scanner.push(text);
    const { first, second, words } = this.#scanner;
    let longestEnd = -1;
    for (let i = 0; i < count; i++) {
      if (!bloom.has(first[i]!, second[i]!)) {
        this.#run = 0;
        continue;
      }
      this.#found++;
      if (++this.#run > this.#longestRun) {
        this.#longestRun = this.#run;
        longestEnd = i;
      }
    }
    this.#ngrams += count;
    if (longestEnd < 0) return;
    // N-gram i of this text ends with the word that has count - 1 - i words after it.
    const end = words - (count - 1 - longestEnd) - wordsBefore;
    const start = Math.max(0, end - (this.#longestRun + n - 1));
    this.#passage = normalizedWords(text)
      .slice(start, Math.min(end, start + PASSAGE_WORDS))
      .join(" ");
  }

  /** Returns the statistics since the last call, and starts over. */
  take(): ItemOverlap {
    const words = this.#longestRun + this.#filter.n - 1;
    const result: ItemOverlap = {
      ngrams: this.#ngrams,
      found: this.#found,
      ...(this.#found > 0 && { longest: { words, text: this.#passage } }),
    };
    this.#ngrams = 0;
    this.#found = 0;
    this.#longestRun = 0;
    this.#passage = "";
    this.begin();
    return result;
  }
}

/** Overlap statistics of a set of texts. */
export interface OverlapSummary {
  readonly items: number;
  readonly ngrams: number;
  readonly found: number;
  /** found / ngrams: the paper's figure of a set. */
  readonly overlap: number;
  /** Items with at least one n-gram found. */
  readonly overlapping: number;
  /** Mean, quantiles and largest of items' shares, without items too short for an n-gram. NaN if none is left. */
  readonly mean: number;
  readonly quantiles: Quantiles;
  readonly largest: number;
}

export interface Quantiles {
  readonly p10: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
}

/** Summarizes the overlap of items. */
export function summarizeOverlap(items: readonly ItemOverlap[]): OverlapSummary {
  const sum = (value: (item: ItemOverlap) => number) => items.reduce((total, item) => total + value(item), 0);
  const [ngrams, found] = [sum((item) => item.ngrams), sum((item) => item.found)];
  const shares = Float64Array.from(items.filter((item) => item.ngrams > 0).map(overlapShare)).sort();
  const at = (q: number) => (shares.length === 0 ? Number.NaN : quantile(shares, q));
  return {
    items: items.length,
    ngrams,
    found,
    overlap: found / ngrams,
    overlapping: sum((item) => (item.found > 0 ? 1 : 0)),
    mean: shares.reduce((total, share) => total + share, 0) / shares.length,
    quantiles: { p10: at(0.1), p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9) },
    largest: shares.at(-1) ?? Number.NaN,
  };
}
