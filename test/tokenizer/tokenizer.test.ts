import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenizerError, UsageError } from "../../src/errors.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";
import { NaiveBpe } from "./naive-bpe.js";
import { RandomStream, randomText, readChapters } from "./support.js";

const gpt2 = await gpt2Tokenizer();
const chapters = readChapters();
const END = 50256;

describe("encoding", () => {
  it("agrees with the definition on a chapter, cold and warm", () => {
    const text = chapters[0]!;
    const expected = new NaiveBpe(gpt2.vocabulary).text(text);
    const tokenizer = new Tokenizer(gpt2.vocabulary);
    assert.deepEqual([...tokenizer.encode(text)], expected);
    assert.deepEqual([...tokenizer.encode(text)], expected);
  });

  it("gives the same ids wherever characters fall on the window's ends", () => {
    const expected = gpt2.encode("é🙂日 word  \n ");
    for (let before = 65_500; before < 65_540; before++) {
      // Spaces are words of their own here, and the line feed ends them. After short words, and after a long one.
      for (const start of before % 10 === 0 ? ["1 ", "1"] : ["1 "]) {
        const ids = gpt2.encode(`${start.repeat(before).slice(0, before)}\né🙂日 word  \n `);
        assert.deepEqual(ids.subarray(ids.length - expected.length), expected);
      }
    }
  });

  it("gives the ids of a long text's chapters one after another", () => {
    const text = chapters.join("\n");
    const ids = chapters.flatMap((chapter, i) => [...gpt2.encode(i > 0 ? `\n${chapter}` : chapter)]);
    assert.deepEqual([...gpt2.encode(text)], ids);
    assert.deepEqual([...gpt2.encodeBytes(new TextEncoder().encode(text))], ids);
    assert.equal(gpt2.decode(ids), text);
  });

  it("stays right when there are more distinct words than the cache holds", () => {
    const random = new RandomStream(3);
    const words = Array.from({ length: 70_000 }, () => random.bits().toString(36));
    const tokenizer = new Tokenizer(gpt2.vocabulary);
    const first = tokenizer.encode(words.join(" "));
    assert.deepEqual(tokenizer.encode(words.join(" ")), first);
    assert.equal(tokenizer.decode(first), words.join(" "));
    const naive = new NaiveBpe(gpt2.vocabulary);
    for (const word of words.slice(-300)) assert.deepEqual([...tokenizer.encode(word)], naive.text(word));
  });

  it("distinguishes words that differ only in zeros or in length", () => {
    const naive = new NaiveBpe(gpt2.vocabulary);
    const words = [
      "!",
      "!\0",
      "!\0\0",
      "\0",
      "\0\0",
      "\0".repeat(8),
      "\0".repeat(9),
      `${"!".repeat(8)}\0`,
      "!".repeat(64),
    ];
    for (let round = 0; round < 2; round++) {
      for (const word of words) assert.deepEqual([...gpt2.encode(word)], naive.text(word), JSON.stringify(word));
    }
  });

  it("reads lone surrogates as U+FFFD", () => {
    assert.deepEqual(gpt2.encode("a\ud800b"), gpt2.encode("a\ufffdb"));
    assert.deepEqual(gpt2.encode("\udc00"), gpt2.encode("\ufffd"));
    assert.deepEqual(gpt2.encode(`${"a".repeat(200_000)}\ud83d`), gpt2.encode(`${"a".repeat(200_000)}\ufffd`));
  });

  it("keeps the values of bytes that are not UTF-8", () => {
    const random = new RandomStream(4);
    for (let i = 0; i < 200; i++) {
      const bytes = Uint8Array.from({ length: random.below(200) }, () => random.below(256));
      assert.deepEqual(gpt2.decodeBytes(gpt2.encodeBytes(bytes)), bytes);
    }
    const long = Uint8Array.from({ length: 300_000 }, () => 0x80 | random.below(64));
    assert.deepEqual(gpt2.decodeBytes(gpt2.encodeBytes(long)), long);
  });

  it("returns a new array each time", () => {
    const first = gpt2.encode("one two");
    const copy = [...first];
    gpt2.encode("three four");
    assert.deepEqual([...first], copy);
    assert.equal(first.buffer.byteLength, first.byteLength);
  });
});

describe("special tokens", () => {
  const text = "a<|endoftext|><|endoftext|> b";

  it("are plain text unless allowed", () => {
    assert.equal(gpt2.encode(text).includes(END), false);
    assert.equal(gpt2.encode(text, { allowedSpecial: [] }).includes(END), false);
    assert.equal(gpt2.decode(gpt2.encode(text)), text);
  });

  it("are single ids where allowed", () => {
    const expected = [64, END, END, 275];
    assert.deepEqual([...gpt2.encode(text, { allowedSpecial: "all" })], expected);
    assert.deepEqual([...gpt2.encode(text, { allowedSpecial: ["<|endoftext|>"] })], expected);
    assert.deepEqual([...gpt2.encode("<|endoftext|>", { allowedSpecial: "all" })], [END]);
    assert.equal(gpt2.decode(expected), text);
  });

  it("match the longest first, and characters that are special in patterns", () => {
    const special = ["<a>", "<a>+", "(.*)", "\\"];
    const tokenizer = new Tokenizer(vocabularyFromMerges(new Uint32Array(0), special));
    const ids = tokenizer.encode("<a>+<a>(.*)x\\", { allowedSpecial: "all" });
    assert.deepEqual([...ids], [257, 256, 258, ...tokenizer.encode("x"), 259]);
    const some = tokenizer.encode("<a>+", { allowedSpecial: ["<a>"] });
    assert.deepEqual([...some], [256, ...tokenizer.encode("+")]);
  });

  it("must be known", () => {
    assert.throws(() => gpt2.encode("x", { allowedSpecial: ["<|pad|>"] }), UsageError);
    assert.throws(() => gpt2.encode("x", { allowedSpecial: ["<|pad|>"] }), /<\|endoftext\|>.*<\|pad\|>/);
    const none = new Tokenizer(vocabularyFromMerges(new Uint32Array(0), []));
    assert.equal(none.endOfText, undefined);
    assert.deepEqual([...none.encode("a", { allowedSpecial: "all" })], [64]);
  });
});

describe("decoding", () => {
  it("refuses ids that no token has, by name", () => {
    for (const id of [50257, -1, 0.5, Number.NaN, 2 ** 32]) {
      for (const decode of [
        () => gpt2.decode([464, id]),
        () => gpt2.decodeBytes([464, id]),
        () => gpt2.idToBytes(id),
        () => gpt2.decoder().push(id),
      ]) {
        assert.throws(decode, (error) => error instanceof TokenizerError && error.message.includes(`got ${id}`));
      }
    }
    assert.equal(gpt2.decode([464]), "The");
  });

  it("turns half characters into U+FFFD, and keeps byte order marks", () => {
    const [first, second] = gpt2.encode("🙂");
    assert.equal(gpt2.decode([first!]), "\ufffd");
    assert.equal(gpt2.decode([second!]), "\ufffd\ufffd");
    assert.equal(gpt2.decode(gpt2.encode("\ufeffa\ufeff")), "\ufeffa\ufeff");
  });

  it("joins characters across the ends of its pieces", () => {
    const random = new RandomStream(5);
    const text = randomText(random, [..."aé日🙂 "], 60_000);
    assert.equal(gpt2.decode(gpt2.encode(text)), text);
    const ids = gpt2.encodeBytes(new TextEncoder().encode(text).subarray(0, -1));
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    assert.equal(gpt2.decode(ids), utf8.decode(gpt2.decodeBytes(ids)));
    // Not UTF-8 at all, or nearly: the replacements by U+FFFD must not depend on the pieces.
    for (const values of [256, 8]) {
      const noise = Uint8Array.from({ length: 100_000 }, () => (random.below(values) * 37 + 0xe2) & 0xff);
      assert.equal(gpt2.decode(gpt2.encodeBytes(noise)), utf8.decode(noise));
    }
  });

  it("returns bytes that may be changed", () => {
    gpt2.idToBytes(464).fill(0);
    gpt2.decodeBytes([464]).fill(0);
    assert.equal(gpt2.decode([464]), "The");
  });
});

describe("a vocabulary", () => {
  it("with more tokens than the tables hold is refused", () => {
    const { vocabulary } = gpt2;
    assert.throws(() => new Tokenizer({ ...vocabulary, size: 2 ** 20 }), TokenizerError);
  });

  it("can be sent to another thread", () => {
    const copy = new Tokenizer(structuredClone(gpt2.vocabulary));
    assert.deepEqual(copy.encode(chapters[1]!), gpt2.encode(chapters[1]!));
  });
});

describe("a stream decoder", () => {
  it("holds a character back until its last byte", () => {
    const decoder = gpt2.decoder();
    const ids = [...gpt2.encode("👩‍👩")];
    const parts = ids.map((id) => decoder.push(id));
    assert.ok(parts.includes(""));
    assert.equal(parts.join("") + decoder.flush(), "👩‍👩");
  });

  it("ends an unfinished character with U+FFFD, and can be reused", () => {
    const decoder = gpt2.decoder();
    assert.equal(decoder.push(gpt2.encode("🙂")[0]!), "");
    assert.equal(decoder.flush(), "\ufffd");
    assert.equal(decoder.push(gpt2.encode("é")[0]!), "é");
    assert.equal(decoder.flush(), "");
  });
});
