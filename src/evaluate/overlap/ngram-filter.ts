import { RandomStream } from "../../util/random.js";
import type { BloomFilter } from "./bloom-filter.js";
import { NgramScanner } from "./ngram-scanner.js";

/** A Bloom filter of the n-grams of a text. */
export interface NgramFilter {
  /** Words in an n-gram. */
  readonly n: number;
  /** Upper bound of the rate of false positives that the filter was sized for. */
  readonly rate: number;
  /** Documents, words and n-grams of the text, repeated n-grams included. */
  readonly documents: number;
  readonly words: number;
  readonly ngrams: number;
  readonly bloom: BloomFilter;
}

export interface FilterFacts {
  readonly n: number;
  readonly documents: number;
  readonly words: number;
  readonly ngrams: number;
  /** Distinct n-grams, estimated from the fill: -m/k · ln(1 - fill) (Swamidass & Baldi 2007). */
  readonly distinct: number;
  readonly hashes: number;
  readonly bits: number;
  /** The requested upper bound of the rate of false positives. */
  readonly bound: number;
  /** The rate that follows from the bits set: fill^k. */
  readonly falsePositiveRate: number;
}

/** Statistics of a filter; reads all of it. */
export function describeFilter({ n, rate, documents, words, ngrams, bloom }: NgramFilter): FilterFacts {
  const { hashes, parts } = bloom.shape;
  const bits = bloom.shape.bits * parts;
  const fill = bloom.fill();
  const distinct = Math.round((-bits / hashes) * Math.log1p(-fill));
  return { n, documents, words, ngrams, distinct, hashes, bits, bound: rate, falsePositiveRate: fill ** hashes };
}

/**
 * The paper's check of the rate: the number of random strings that the filter contains by mistake. With a bound of 10^-8
 * and a million strings: none.
 */
export function countFalsePositives({ n, bloom }: NgramFilter, strings: number, seed = 1): number {
  const random = new RandomStream(seed);
  const scanner = new NgramScanner(n);
  // Words of a dozen random letters and digits, eight of which occur together in no text.
  const word = () => random.bits().toString(36) + random.bits().toString(36);
  let found = 0;
  for (let left = strings; left > 0; ) {
    const count = scanner.push(Array.from({ length: 1024 }, word).join(" "));
    for (let i = 0; i < Math.min(count, left); i++) if (bloom.has(scanner.first[i]!, scanner.second[i]!)) found++;
    left -= count;
  }
  return found;
}
