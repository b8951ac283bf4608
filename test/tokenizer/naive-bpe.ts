/** The definitions, as slow and obvious as possible: the oracle of every fast path. */
import { type Vocabulary, vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";

/** GPT-2's pattern with Unicode's White_Space for its `\s`. Tables of the JavaScript engine: keep to old characters. */
const PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

export function naivePretokenize(text: string): string[] {
  return Array.from(text.matchAll(PATTERN), ([word]) => word);
}

/** Merges the leftmost pair of lowest rank until none is left. */
export class NaiveBpe {
  readonly #ranks = new Map<string, number>();
  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    const { merges, results } = vocabulary;
    results.forEach((_, rank) => {
      const key = `${merges[2 * rank]},${merges[2 * rank + 1]}`;
      if (!this.#ranks.has(key)) this.#ranks.set(key, rank);
    });
  }

  word(bytes: Uint8Array): number[] {
    const ids = Array.from(bytes, (byte) => this.#vocabulary.byteIds[byte]!);
    for (;;) {
      const ranks = ids.slice(1).map((id, i) => this.#ranks.get(`${ids[i]},${id}`) ?? Number.POSITIVE_INFINITY);
      const lowest = ranks.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
      if (lowest === Number.POSITIVE_INFINITY) return ids;
      ids.splice(ranks.indexOf(lowest), 2, this.#vocabulary.results[lowest]!);
    }
  }

  text(text: string): number[] {
    return naivePretokenize(text).flatMap((word) => this.word(new TextEncoder().encode(word)));
  }
}

/** Learns merges by recounting all pairs for each; ties go to the smaller left id, then the smaller right id. */
export function naiveTrain(documents: readonly string[], merges: number, minFrequency = 2): number[] {
  const { byteIds } = vocabularyFromMerges(new Uint32Array(0));
  const words = documents
    .flatMap(naivePretokenize)
    .map((word) => Array.from(new TextEncoder().encode(word), (byte) => byteIds[byte]!));
  const learnt: number[] = [];
  const texts = new Set<string>();
  const bytesOf = Array.from({ length: 256 }, (_, id) => [id]);
  for (let id = 256; id < 256 + merges; id++) {
    const pair = mostFrequent(words, minFrequency, (a, b) => !texts.has([...bytesOf[a]!, ...bytesOf[b]!].join()));
    if (pair === undefined) break;
    const [a, b] = pair;
    learnt.push(a, b);
    bytesOf[id] = [...bytesOf[a]!, ...bytesOf[b]!];
    texts.add(bytesOf[id].join());
    for (const word of words) {
      for (let i = 0; i < word.length - 1; i++) if (word[i] === a && word[i + 1] === b) word.splice(i, 2, id);
    }
  }
  return learnt;
}

function mostFrequent(
  words: readonly (readonly number[])[],
  minFrequency: number,
  allowed: (a: number, b: number) => boolean,
): [number, number] | undefined {
  const counts = new Map<string, number>();
  for (const word of words) {
    for (let i = 0; i + 1 < word.length; i++) {
      const key = `${word[i]},${word[i + 1]}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const pairs = Array.from(counts, ([key, count]) => ({ pair: key.split(",").map(Number), count }))
    .filter(({ pair: [a, b], count }) => count >= minFrequency && allowed(a!, b!))
    .sort((x, y) => y.count - x.count || x.pair[0]! - y.pair[0]! || x.pair[1]! - y.pair[1]!);
  return pairs[0]?.pair as [number, number] | undefined;
}
