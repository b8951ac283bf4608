import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ASCII_WORD_SLACK, asciiWordEnd } from "../../src/tokenizer/ascii-words.js";
import { PRETOKEN_LOOKAHEAD, pretokenEnd, pretokenize, pretokenRest } from "../../src/tokenizer/pretokenize.js";
import { classOf, LETTER, NUMBER, OTHER, SPACE } from "../../src/tokenizer/unicode-classes.js";
import { naivePretokenize } from "./naive-bpe.js";
import { RandomStream, randomText } from "./support.js";

/** Every alternative of the pattern, and what comes close to one. */
const PIECES = [
  ..."astremvld'  \n\t\r17!?-_é½٣ⅫЖ日本語ßİ",
  ..."'s 't 're 've 'm 'll 'd 'S 'RE 'l 'r 'v".split(" "),
  ..."\u0085\u00a0\ufeff\u200b\u2028\u3000\u180e\u1680\u0301\u0000\u007f🙂👩‍👩‍👧𝒳𐍈",
];

describe("the pre-tokenizer", () => {
  it("agrees with the regular expression on random texts", () => {
    const random = new RandomStream(1);
    for (let i = 0; i < 20_000; i++) {
      const text = randomText(random, PIECES, 1 + random.below(12));
      assert.deepEqual(pretokenize(text), naivePretokenize(text), JSON.stringify(text));
    }
  });

  it("uses Unicode's White_Space, not JavaScript's \\s", () => {
    assert.deepEqual(pretokenize("a\u0085\u0085b"), ["a", "\u0085", "\u0085", "b"]);
    assert.deepEqual(pretokenize("a\ufeff\ufeffb"), ["a", "\ufeff\ufeff", "b"]);
    assert.deepEqual(pretokenize(" \ufeff"), [" \ufeff"]);
  });

  it("recognizes contractions in lower case only", () => {
    assert.deepEqual(pretokenize("I'll don't THEY'RE we're 'd'S"), [
      ..."I|'ll| don|'t| THEY|'|RE| we|'re| '|d|'|S".split("|"),
    ]);
  });

  it("leaves the last of several spaces to the word", () => {
    assert.deepEqual(pretokenize("a   b"), ["a", "  ", " b"]);
    assert.deepEqual(pretokenize("a \n\n b  "), ["a", " \n\n", " b", "  "]);
    assert.deepEqual(pretokenize("a\n\n\nb"), ["a", "\n\n", "\n", "b"]);
    assert.deepEqual(pretokenize("1  ½"), ["1", " ", " ½"]);
  });

  it("gives the same for a longer text, up to its stated lookahead", () => {
    const random = new RandomStream(2);
    for (let i = 0; i < 5000; i++) {
      const text = randomText(random, PIECES, 1 + random.below(8));
      const whole = new TextEncoder().encode(text + randomText(random, PIECES, 3));
      const limit = new TextEncoder().encode(text).length;
      const end = pretokenEnd(whole, 0, limit);
      if (end <= limit - PRETOKEN_LOOKAHEAD) assert.equal(end, pretokenEnd(whole, 0, whole.length));
    }
  });

  it("finds the end of a pre-token from its middle", () => {
    for (const [text, from] of [
      ["!!''s", 2],
      ["!'''ll", 1],
      ["aaaéé b", 1],
      [" 1234", 2],
      ["   \n\nx", 1],
      ["    ", 2],
    ] as const) {
      const bytes = new TextEncoder().encode(text);
      assert.equal(pretokenRest(bytes, from, bytes.length), pretokenEnd(bytes, 0, bytes.length), text);
    }
  });

  it("takes bytes that are not UTF-8 one by one, as neither letters, numbers nor white space", () => {
    const ends = (...bytes: number[]): number[] => {
      const ends = [];
      for (let at = 0; at < bytes.length; ends.push(at)) at = pretokenEnd(Uint8Array.from(bytes), at, bytes.length);
      return ends;
    };
    const a = 0x61;
    // A continuation byte alone; an overlong slash; a lead byte at the end; a lone surrogate; beyond U+10FFFF.
    assert.deepEqual(ends(a, 0x80, a), [1, 2, 3]);
    assert.deepEqual(ends(a, 0xc0, 0xaf, a), [1, 3, 4]);
    assert.deepEqual(ends(a, 0xe6, 0x97), [1, 3]);
    assert.deepEqual(ends(a, 0xed, 0xa0, 0x80, a), [1, 4, 5]);
    assert.deepEqual(ends(a, 0xf4, 0x90, 0x80, 0x80, a), [1, 5, 6]);
    assert.deepEqual(ends(a, 0xe6, a), [1, 2, 3]);
  });
});

describe("finding the end of an ASCII word", () => {
  it("gives the pre-tokenizer's answer, or none if the word is not plain", () => {
    const random = new RandomStream(6);
    const pieces = [..."abyzABYZ", ..."@[`{ '1.\n\0\x7f", "é", "\u0301", "abcd", "wxyzABCDEFGH"];
    let found = 0;
    for (let i = 0; i < 50_000; i++) {
      const utf8 = new TextEncoder().encode(randomText(random, pieces, 1 + random.below(8)));
      // The bytes after the text must not matter.
      const bytes = new Uint8Array(utf8.length + ASCII_WORD_SLACK).fill(random.below(2) === 0 ? 0x61 : 0x20);
      bytes.set(utf8);
      const text = new TextDecoder().decode(utf8);
      const end = asciiWordEnd(bytes, new DataView(bytes.buffer), 0, utf8.length);
      const plain = /^ ?[A-Za-z]+(?=[\0-@[-`{-\x7f])/.exec(text);
      assert.equal(end, plain === null ? -1 : plain[0].length, JSON.stringify(text));
      if (end >= 0) assert.equal(end, pretokenEnd(utf8, 0, utf8.length));
      if (end > 12) found++;
    }
    assert.ok(found > 1000);
  });

  it("classifies every byte", () => {
    for (let byte = 0; byte < 256; byte++) {
      for (let place = 0; place < 20; place++) {
        const bytes = new Uint8Array(64).fill(0x7a);
        bytes[place] = byte;
        bytes[30] = 0x20;
        const isLetter = /[A-Za-z]/.test(String.fromCharCode(byte));
        const startsWithSpace = place === 0 && byte === 0x20;
        const expected = isLetter || startsWithSpace ? 30 : byte >= 0x80 || place === 0 ? -1 : place;
        assert.equal(asciiWordEnd(bytes, new DataView(bytes.buffer), 0, 40), expected, `${byte} at ${place}`);
      }
    }
  });
});

describe("the classes of code points", () => {
  it("are Unicode 16.0's, whatever the JavaScript engine has", () => {
    // Assigned in 15.1, 16.0 and 16.0; in 17.0.
    assert.equal(classOf(0x2ebf0), LETTER);
    assert.equal(classOf(0x1c89), LETTER);
    assert.equal(classOf(0x10d40), NUMBER);
    assert.equal(classOf(0x323b0), OTHER);
    assert.equal(classOf(0x10ffff), OTHER);
    const counts = [0, 0, 0, 0];
    for (let codePoint = 0; codePoint < 0x110000; codePoint++) counts[classOf(codePoint)]!++;
    // DerivedGeneralCategory-16.0.0.txt: 141,028 L, 1,911 N; PropList-16.0.0.txt: 25 White_Space.
    assert.deepEqual(counts.slice(1), [141028, 1911, 25]);
  });

  it("agree with the JavaScript engine's where all code points are assigned", () => {
    for (let codePoint = 0; codePoint < 0x530; codePoint++) {
      const text = String.fromCodePoint(codePoint);
      const expected = /\p{L}/u.test(text) ? LETTER : /\p{N}/u.test(text) ? NUMBER : OTHER;
      assert.equal(classOf(codePoint), /\p{White_Space}/u.test(text) ? SPACE : expected);
    }
  });
});
