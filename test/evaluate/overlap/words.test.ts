import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NgramScanner } from "../../../src/evaluate/overlap/ngram-scanner.js";
import {
  lastWords,
  nextSpace,
  normalizedWords,
  normalizeText,
  stretchOf,
} from "../../../src/evaluate/overlap/words.js";
import { RandomStream } from "../../../src/util/random.js";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { babble, ngramsOf } from "./naive.js";

const utf8 = new TextEncoder();

describe("normalization", () => {
  it("gives lower-cased alphanumeric words separated by single spaces", () => {
    const cases = [
      ["The  Cat\tsat,\n\non the MAT.", "the cat sat on the mat"],
      ["It didn't — it did n’t", "it didn t it did n t"],
      ["well-known e.g. 3.14 (1,000)", "well known e g 3 14 1 000"],
      ["snake_case #tag @user a+b", "snake case tag user a b"],
      ["“Quoted” …then", "quoted then"],
      ["ÉCOLE Straße ΣΟΦΟΣ Жизнь", "école straße σοφο\u03c2 жизнь"],
      // Composition, ligatures and full-width letters do not change words.
      ["cafe\u0301 ﬁne Ｗｉｄｅ", "café fine wide"],
      // A mark is part of a word, and is not a word by itself: here in Devanagari, and after a heart.
      ["हिन्दी ❤\ufe0f ok", "हिन्दी ok"],
      ["𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐁 😀x", "unicode 𐐨𐐩 x"],
      ["lone \ud800 surrogate\udc00s", "lone surrogate s"],
      ["", ""],
      ["—… !", ""],
    ] as const;
    for (const [text, expected] of cases) {
      assert.equal(normalizeText(text), expected.normalize("NFKC"), JSON.stringify(text));
    }
  });

  it("is idempotent", () => {
    const text = normalizeText(babble(500, 300, 1));
    assert.equal(normalizeText(text), text);
  });
});

describe("the scanner", () => {
  /** Hashes as strings, which identify n-grams. */
  const hashes = (scanner: NgramScanner, count: number) =>
    Array.from({ length: count }, (_, i) => `${scanner.first[i]} ${scanner.second[i]}`);

  it("finds the words of the normalization, for all characters", () => {
    const random = new RandomStream(5);
    const points = () => {
      const ranges = [0x80, 0x250, 0x3000, 0xffff, 0x10ffff] as const;
      return String.fromCodePoint(random.below(ranges[random.below(ranges.length)]!));
    };
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: 60 }, () => (random.below(3) === 0 ? " " : points())).join("");
      const scanner = new NgramScanner(1);
      const count = scanner.push(text);
      const words = normalizedWords(text);
      assert.equal(count, words.length, JSON.stringify(text));
      const byHash = new Map(hashes(scanner, count).map((hash, i) => [hash, words[i]!]));
      assert.equal(byHash.size, new Set(words).size, JSON.stringify(text));
    }
  });

  it("gives equal n-grams equal hashes and different ones different hashes, at any position", {
    skip: LIKE_OTHERS,
  }, () => {
    for (const n of [1, 2, 8, 13]) {
      const text = babble(30_000, n < 3 ? 400 : 4, n);
      const scanner = new NgramScanner(n);
      scanner.push("a document before");
      scanner.begin();
      const count = scanner.push(text);
      const ngrams = ngramsOf(text, n);
      assert.equal(count, ngrams.length);
      const [byNgram, byHash] = [new Map<string, string>(), new Map<string, string>()];
      for (const [i, hash] of hashes(scanner, count).entries()) {
        assert.equal(byNgram.get(ngrams[i]!) ?? hash, hash);
        assert.equal(byHash.get(hash) ?? ngrams[i], ngrams[i]);
        byNgram.set(ngrams[i]!, hash);
        byHash.set(hash, ngrams[i]!);
      }
      assert.ok(byNgram.size > 100);
    }
  });

  it("distinguishes n-grams of the same words in another order or number", () => {
    const texts = ["a a a a a a a a", "b b b b b b b b", "a b a b a b a b", "b a b a b a b a", "a a b b a a b b"];
    const rotations = Array.from({ length: 8 }, (_, i) =>
      [..."abcdefgh"].map((_, k) => "abcdefgh"[(i + k) % 8]).join(" "),
    );
    const all = [...texts, ...rotations];
    const seen = all.map((text) => {
      const scanner = new NgramScanner(8);
      return hashes(scanner, scanner.push(text)).join();
    });
    assert.equal(new Set(seen).size, all.length);
  });

  it("continues over several texts of a document", () => {
    const words = normalizedWords(babble(200, 50, 9));
    const whole = new NgramScanner(8);
    const expected = hashes(whole, whole.push(words.join(" ")));
    for (const size of [1, 5, 8, 64]) {
      const parts = new NgramScanner(8);
      const found: string[] = [];
      for (let i = 0; i < words.length; i += size) {
        found.push(...hashes(parts, parts.push(words.slice(i, i + size).join(" "))));
      }
      assert.deepEqual(found, expected);
    }
  });
});

describe("cuts", () => {
  it("finds the last words of a text, however far back", () => {
    const words = normalizedWords(babble(300, 1000, 2));
    for (const between of [" ", " … ", `\n${"—".repeat(400)} `]) {
      const text = utf8.encode(words.join(between) + between);
      for (const count of [0, 1, 7, 250, 300]) {
        assert.deepEqual(lastWords(text, count), words.slice(words.length - count));
      }
      assert.deepEqual(lastWords(text, 1000), words);
    }
    assert.deepEqual(lastWords(utf8.encode("x".repeat(5000)), 7), ["x".repeat(5000)]);
    assert.deepEqual(lastWords(new Uint8Array(0), 7), []);
  });

  it("puts every n-gram of a document into one stretch", () => {
    const text = babble(400, 90, 3);
    const bytes = utf8.encode(text);
    const random = new RandomStream(4);
    const cuts = Array.from({ length: 40 }, () => random.below(bytes.length)).sort((a, b) => a - b);
    const ends = [...cuts, bytes.length];
    const found = ends.flatMap((end, i) => {
      const { before, text } = stretchOf(bytes, i === 0 ? 0 : ends[i - 1]!, end);
      return ngramsOf([...lastWords(before, 7), text].join(" "), 8);
    });
    assert.deepEqual(found, ngramsOf(text, 8));
    assert.equal(nextSpace(bytes, bytes.length), bytes.length);
  });
});
