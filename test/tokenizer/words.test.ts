import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { isOrdered, LongWordEncoder } from "../../src/tokenizer/long-word.js";
import { WordMerger } from "../../src/tokenizer/merge-word.js";
import { MergeTable, NO_RANK } from "../../src/tokenizer/pair-table.js";
import { TokenBytes } from "../../src/tokenizer/token-bytes.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { type Vocabulary, vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { NaiveBpe, naivePretokenize, naiveTrain } from "./naive-bpe.js";
import { RandomStream, randomText } from "./support.js";

const { vocabulary: gpt2 } = await gpt2Tokenizer();
const { byteIds } = gpt2;

function mergeWhole(vocabulary: Vocabulary, bytes: Uint8Array): number[] {
  const out = new Uint32Array(bytes.length);
  return [...out.subarray(0, mergerOf(vocabulary).merge(bytes, 0, bytes.length, out, 0))];
}

const mergers = new WeakMap<Vocabulary, WordMerger>();

function mergerOf(vocabulary: Vocabulary): WordMerger {
  const merger = mergers.get(vocabulary) ?? new WordMerger(vocabulary);
  mergers.set(vocabulary, merger);
  return merger;
}

/** A vocabulary learnt from one random word over few letters, so that merges compete everywhere. */
function randomVocabulary(random: RandomStream, letters: string, merges: number): Vocabulary {
  return vocabularyFromMerges(Uint32Array.from(naiveTrain([randomText(random, [...letters], 400)], merges)));
}

/** Merges yz, xy, wx, … in this order: the last letter of a run decides how all letters before it pair up. */
function chainVocabulary(letters: string): Vocabulary {
  const ids = Array.from(letters, (letter) => byteIds[letter.charCodeAt(0)]!);
  const merges = ids.slice(1).map((id, i) => [ids[i]!, id]);
  return vocabularyFromMerges(Uint32Array.from(merges.reverse().flat()));
}

function encodeInPieces(vocabulary: Vocabulary, bytes: Uint8Array, piece: number): { ids: number[]; retries: number } {
  const encoder = new LongWordEncoder(new WordMerger(vocabulary), new TokenBytes(vocabulary), vocabulary, piece);
  const ids: number[] = [];
  let retries = 0;
  for (let at = 0; at < bytes.length; ) {
    at += encoder.step(bytes, at, bytes.length, true, Uint32Array.from(ids));
    ids.splice(ids.length - encoder.dropped, encoder.dropped, ...encoder.ids.subarray(0, encoder.count));
    if (encoder.dropped > 0) retries++;
  }
  return { ids, retries };
}

describe("merging a word", () => {
  it("follows the definition, for short words and for long ones", () => {
    const random = new RandomStream(10);
    for (let round = 0; round < 20; round++) {
      const vocabulary = randomVocabulary(random, "abc", 40);
      const naive = new NaiveBpe(vocabulary);
      for (const length of [1, 2, 3, 7, 8, 9, 62, 63, 64, 65, 66, 200]) {
        const bytes = new TextEncoder().encode(randomText(random, [..."abc"], length));
        assert.deepEqual(mergeWhole(vocabulary, bytes), naive.word(bytes));
      }
    }
  });

  it("follows the definition where a merge makes a pair of lower rank", () => {
    // ab makes the pair "abc" possible, which comes before it: training never gives this order.
    const [a, b, c] = [byteIds[0x61]!, byteIds[0x62]!, byteIds[0x63]!];
    const base = vocabularyFromMerges(Uint32Array.of(a, b, b, c));
    const vocabulary: Vocabulary = {
      ...base,
      size: 258,
      merges: Uint32Array.of(256, a, a, b),
      results: Uint32Array.of(257, 256),
    };
    const naive = new NaiveBpe(vocabulary);
    for (const text of ["aba", "abab", "ababa".repeat(30), "aab".repeat(40)]) {
      const bytes = new TextEncoder().encode(text);
      assert.deepEqual(mergeWhole(vocabulary, bytes), naive.word(bytes), text);
    }
  });
});

describe("a table of merges", () => {
  it("finds every merge of GPT-2's and nothing else", () => {
    const table = new MergeTable(gpt2.merges);
    for (let r = 0; r < 50_000; r++) assert.equal(table.rank(gpt2.merges[2 * r]!, gpt2.merges[2 * r + 1]!), r);
    const known = new Set(
      Array.from({ length: 50_000 }, (_, r) => gpt2.merges[2 * r]! * 65536 + gpt2.merges[2 * r + 1]!),
    );
    const random = new RandomStream(11);
    for (let i = 0; i < 100_000; i++) {
      const [a, b] = [random.below(50257), random.below(50257)];
      if (!known.has(a * 65536 + b)) assert.equal(table.rank(a, b), NO_RANK);
    }
  });

  it("keeps ids above 16 bits apart, and the first of two equal merges", () => {
    const merges = Uint32Array.of(5, 70_000, 70_000, 5, 5, 4464, 5, 70_000, 1_000_000, 999_999);
    const table = new MergeTable(merges);
    assert.deepEqual([table.rank(5, 70_000), table.rank(70_000, 5), table.rank(5, 4464)], [0, 1, 2]);
    assert.equal(table.rank(1_000_000, 999_999), 4);
    assert.equal(table.rank(999_999, 1_000_000), NO_RANK);
  });
});

describe("encoding a very long word in pieces", () => {
  it("gives the same as merging it at once", () => {
    const random = new RandomStream(12);
    for (let round = 0; round < 30; round++) {
      const letters = "abcd".slice(0, 1 + random.below(4));
      const vocabulary = randomVocabulary(random, letters, 25);
      const bytes = new TextEncoder().encode(randomText(random, [...letters], 3000 + random.below(500)));
      assert.deepEqual(encodeInPieces(vocabulary, bytes, 16).ids, mergeWhole(vocabulary, bytes));
    }
  });

  it("moves a seam to the left when the next bytes change earlier tokens", () => {
    const letters = String.fromCharCode(...Array.from({ length: 90 }, (_, i) => 0x21 + i));
    const vocabulary = chainVocabulary(letters);
    let retries = 0;
    for (let cut = 0; cut < 40; cut++) {
      const bytes = new TextEncoder().encode(letters.slice(cut) + letters.repeat(3));
      const pieces = encodeInPieces(vocabulary, bytes, 16);
      assert.deepEqual(pieces.ids, mergeWhole(vocabulary, bytes));
      retries += pieces.retries;
    }
    assert.ok(retries > 0, "no seam had to be moved: the test tests nothing");
  });

  it("is right for words longer than the reader's window, whatever their characters", { skip: LIKE_OTHERS }, () => {
    const tokenizer = new Tokenizer(gpt2);
    const random = new RandomStream(13);
    const words = [
      "a".repeat(150_001),
      " ".repeat(150_000),
      "\n".repeat(70_000),
      "'".repeat(140_000),
      "日".repeat(50_000),
      "\u3000".repeat(50_000),
      randomText(random, [..."abcdefgh"], 150_000),
    ];
    for (const word of words) {
      const around = [
        ["it's 12 ", " it's"],
        ["", ""],
        ["x ", "!"],
      ] as const;
      for (const [before, after] of around) {
        const bytes = new TextEncoder().encode(before + word + after);
        const ids = tokenizer.encode(before + word + after);
        assert.deepEqual(tokenizer.decodeBytes(ids), bytes);
        assert.deepEqual(ids, encodeAtOnce(before + word + after), JSON.stringify(before + word.slice(0, 9) + after));
      }
    }
  });

  it("waits for the whole word where merges are out of order", () => {
    const [a, b] = [byteIds[0x61]!, byteIds[0x62]!];
    const base = vocabularyFromMerges(Uint32Array.of(a, b, 256, a));
    const vocabulary = { ...base, merges: Uint32Array.of(256, a, a, b), results: Uint32Array.of(257, 256) };
    assert.equal(isOrdered(vocabulary), false);
    const word = "aba".repeat(50_000);
    assert.deepEqual(
      [...new Tokenizer(vocabulary).encode(word)],
      mergeWhole(vocabulary, new TextEncoder().encode(word)),
    );
  });

  it("recognizes vocabularies that are in order", () => {
    assert.equal(isOrdered(gpt2), true);
    assert.equal(isOrdered(vocabularyFromMerges(new Uint32Array(0))), true);
  });
});

/** Every pre-token is found and merged with the whole text in memory. */
function encodeAtOnce(text: string): Uint32Array {
  return Uint32Array.from(naivePretokenize(text).flatMap((word) => mergeWhole(gpt2, new TextEncoder().encode(word))));
}
