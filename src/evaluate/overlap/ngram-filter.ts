import { RandomStream } from "../../util/random.js";
import type { BloomFilter } from "./bloom-filter.js";
import { NgramScanner } from "./ngram-scanner.js";

/** The n-grams of a text, as far as a Bloom filter keeps them. */
export interface NgramFilter {
  /** Words in an n-gram. */
  readonly n: number;
  /** Upper bound of the rate of false positives that the filter was sized for. */
  readonly rate: number;
  /** Of the text: documents, words, and n-grams, those that occur again counted again. */
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
  /** Different ones, as the number of bits set tells: -m/k · ln(1 - fill) (Swamidass & Baldi 2007). */
  readonly distinct: number;
  readonly hashes: number;
  readonly bits: number;
  /** What was asked for at most. */
  readonly bound: number;
  /** What the bits that are set give: fill^k. */
  readonly falsePositiveRate: number;
}

/** What there is to say about a filter; goes through all of it. */
export function describeFilter({ n, rate, documents, words, ngrams, bloom }: NgramFilter): FilterFacts {
  const { hashes, parts } = bloom.shape;
  const bits = bloom.shape.bits * parts;
  const fill = bloom.fill();
  const distinct = Math.round((-bits / hashes) * Math.log1p(-fill));
  return { n, documents, words, ngrams, distinct, hashes, bits, bound: rate, falsePositiveRate: fill ** hashes };
}

/**
 * The paper's check of the rate: of so many random strings, how many the filter claims to know. With a bound of 10^-8
 * and a million strings: none.
 */
export function countFalsePositives({ n, bloom }: NgramFilter, strings: number, seed = 1): number {
  const random = new RandomStream(seed);
  const scanner = new NgramScanner(n);
  // Words of a dozen random letters and digits: that eight of them stand in a text is out of the question.
  const word = () => random.bits().toString(36) + random.bits().toString(36);
  let found = 0;
  for (let left = strings; left > 0; ) {
    const count = scanner.push(Array.from({ length: 1024 }, word).join(" "));
    for (let i = 0; i < Math.min(count, left); i++) if (bloom.has(scanner.first[i]!, scanner.second[i]!)) found++;
    left -= count;
  }
  return found;
}
