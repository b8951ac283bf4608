import assert from "node:assert/strict";
import { test } from "node:test";
import { SuffixSearch } from "../../src/misuse/trace/search.js";
import { findSpans } from "../../src/misuse/trace/spans.js";
import { suffixArray } from "../../src/misuse/trace/suffix-array.js";

function searchOf(corpus: Uint16Array, alphabet: number): SuffixSearch {
  const suffixes = suffixArray(corpus, alphabet);
  return new SuffixSearch({
    length: corpus.length,
    token: (i) => corpus[i]!,
    suffix: (rank) => suffixes[rank]!,
  });
}

function occurrences(corpus: Uint16Array, run: Uint16Array): number[] {
  const found: number[] = [];
  for (let i = 0; i + run.length <= corpus.length; i++)
    if (run.every((token, j) => corpus[i + j] === token)) found.push(i);
  return found;
}

/** xorshift32, so that the texts are the same every time. */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

test("every run of a query is found where a comparison at every position finds it", () => {
  const next = random(11);
  for (let round = 0; round < 60; round++) {
    const alphabet = 2 + (next() % 4);
    const corpus = Uint16Array.from({ length: 1 + (next() % 300) }, () => next() % alphabet);
    const query = Uint16Array.from({ length: 20 }, () => next() % alphabet);
    const search = searchOf(corpus, alphabet);
    for (let start = 0; start < query.length; start++) {
      let longest = 0;
      for (let end = start; end <= query.length; end++) {
        const { from, to } = search.find(query, start, end);
        const places = Array.from({ length: to - from }, (_, i) => search.index.suffix(from + i)).sort((a, b) => a - b);
        const expected = occurrences(corpus, query.subarray(start, end)).filter((i) => i < corpus.length);
        assert.deepEqual(places, expected);
        if (expected.length > 0) longest = end - start;
      }
      const match = search.longest(query, start);
      assert.equal(match.length, longest);
      if (longest > 0)
        assert.equal(match.to - match.from, occurrences(corpus, query.subarray(start, start + longest)).length);
    }
  }
});

test("spans are whole words, within a sentence, part of no longer span; the rarest first", () => {
  // Tokens: even ones begin a word, 9 is a full stop.
  const corpus = Uint16Array.of(2, 3, 4, 5, 6, 9, 8, 2, 4, 3, 6, 2);
  const search = searchOf(corpus, 10);
  const text = [8, 2, 4, 7, 2, 3, 4, 5, 6, 9, 8, 2];
  const isEdge = (i: number): boolean => i === text.length || text[i]! % 2 === 0 || text[i] === 9;
  const rules = {
    minTokens: 2,
    isEdge,
    isStop: (token: number) => token === 9,
    logFrequency: (token: number) => -token,
  };
  const spans = findSpans(search, text, { ...rules, share: Number.POSITIVE_INFINITY });
  // [8 2 4] loses its last word, which is "4 7" in the text; [9 8 2] is cut at the full stop.
  assert.deepEqual(
    spans.map(({ start, end }) => [start, end]),
    [
      [4, 10],
      [0, 2],
      [10, 12],
    ],
  );
  assert.deepEqual(findSpans(search, text, { ...rules, share: 0.1 }).length, 2);
});
