import { quantile } from "../metrics/metric.js";
import type { NgramFilter } from "./ngram-filter.js";
import { NgramScanner } from "./ngram-scanner.js";
import type { ItemText } from "./words.js";
import { lastWords, normalizedWords } from "./words.js";

/** What of a text is in the filter. */
export interface ItemOverlap {
  readonly ngrams: number;
  /** Those that the filter knows. */
  readonly found: number;
  /** The longest passage of which it knows every n-gram. */
  readonly longest?: Passage;
}

export interface Passage {
  readonly words: number;
  /** Normalised, at most the first {@link PASSAGE_WORDS} words of it. */
  readonly text: string;
}

const PASSAGE_WORDS = 40;

/** Share of the n-grams that are found; of a text without n-grams 0. */
export const overlapShare = ({ ngrams, found }: ItemOverlap): number => (ngrams === 0 ? 0 : found / ngrams);

/** What of a text, or of several that belong together, is in the filter. */
export function measureOverlap(filter: NgramFilter, texts: readonly ItemText[]): ItemOverlap {
  return new OverlapMeter(filter).measure(texts);
}

/** Looks texts up, one after another. */
export class OverlapMeter {
  readonly #filter: NgramFilter;
  readonly #scanner: NgramScanner;
  #ngrams = 0;
  #found = 0;
  /** N-grams in a row that were found, up to the last one. */
  #run = 0;
  #longestRun = 0;
  #passage = "";

  constructor(filter: NgramFilter) {
    this.#filter = filter;
    this.#scanner = new NgramScanner(filter.n);
  }

  /** All the texts of an item; n-grams do not reach from one into the next. */
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

  /** A new text. */
  begin(): void {
    this.#scanner.begin();
    this.#run = 0;
  }

  /** Goes on with the text. */
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
    // The n-gram number i of the text ends with the word that has count - 1 - i words after it.
    const end = words - (count - 1 - longestEnd) - wordsBefore;
    const start = Math.max(0, end - (this.#longestRun + n - 1));
    this.#passage = normalizedWords(text)
      .slice(start, Math.min(end, start + PASSAGE_WORDS))
      .join(" ");
  }

  /** What was found since the last time. */
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

/** What of a set of texts is in the training text. */
export interface OverlapSummary {
  readonly items: number;
  readonly ngrams: number;
  readonly found: number;
  /** found / ngrams: the paper's figure for a set. */
  readonly overlap: number;
  /** Items with at least one n-gram that was found. */
  readonly overlapping: number;
  /** Of each item's own share: mean, quantiles, largest. Items too short for an n-gram have none. NaN without any. */
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

/** What the items' overlaps come to. */
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
