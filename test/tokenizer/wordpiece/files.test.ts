import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenizerError, UsageError } from "../../../src/errors.js";
import { loadWordPiece } from "../../../src/tokenizer/wordpiece/files.js";
import {
  readVocabTxt,
  readWordPieceFolder,
  readWordPieceJson,
  writeVocabTxt,
  writeWordPieceJson,
} from "../../../src/tokenizer/wordpiece/read.js";
import { WordPieceTokenizer } from "../../../src/tokenizer/wordpiece/tokenizer.js";
import { bertVocabulary, type WordPieceVocabulary } from "../../../src/tokenizer/wordpiece/vocabulary.js";
import { fuzz, guarded, timeout } from "../../checkpoint/mutator.js";

const TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "the", "12", "__proto__", ","];
const vocab = { name: "m/vocab.txt", text: TOKENS.map((token) => `${token}\n`).join("") };
const vocabulary = readVocabTxt(vocab);
const tokenizer = new WordPieceTokenizer(vocabulary);
const tokensOf = (text: string, from = tokenizer): (string | undefined)[] =>
  Array.from(from.encode(text, { addSpecialTokens: false }).ids, (id) => from.vocabulary.tokens[id]);

type Json = Record<string, unknown>;

function changed(change: (file: Json & { model: Json }) => void): { name: string; text: string } {
  const file = JSON.parse(writeWordPieceJson(vocabulary)) as Json & { model: Json };
  change(file);
  return { name: "m/tokenizer.json", text: JSON.stringify(file) };
}

function refuses(read: () => unknown, pattern: RegExp): void {
  assert.throws(
    read,
    (error) => (error instanceof TokenizerError && pattern.test(error.message)) || assert.fail(String(error)),
  );
}

describe("WordPiece", () => {
  it("cuts words into the longest pieces, or makes them unknown", () => {
    assert.deepEqual(tokensOf("Unaffable, the unthe"), ["un", "##aff", "##able", ",", "the", "[UNK]"]);
    assert.deepEqual(tokensOf("12 123"), ["12", "[UNK]"]);
    assert.deepEqual(tokensOf(""), []);
  });

  it("gives positions in the text, also of characters with two units", () => {
    const { offsets, texts } = tokenizer.encode("🙂 unáffable", { allowedSpecial: "all" });
    assert.deepEqual([...offsets], [0, 0, 0, 2, 3, 5, 5, 8, 8, 12, 0, 0]);
    assert.deepEqual([...texts], [-1, 0, 0, 0, 0, -1]);
    assert.equal("🙂 unáffable".slice(5, 8), "áff");
  });

  it("recognizes special tokens where they are allowed", () => {
    assert.deepEqual(
      [...tokenizer.encode("[MASK]the", { addSpecialTokens: false, allowedSpecial: "all" }).ids],
      [4, 8],
    );
    assert.deepEqual([...tokenizer.encode("[MASK]", { addSpecialTokens: false, allowedSpecial: ["[MASK]"] }).ids], [4]);
    assert.deepEqual(tokensOf("[MASK]"), ["[UNK]", "[UNK]", "[UNK]"]);
    assert.throws(() => tokenizer.encode("a", { allowedSpecial: ["[X]"] }), UsageError);
  });

  it("reads lone surrogates as U+FFFD, which cleaning drops", () => {
    assert.deepEqual(tokensOf("the\ud800 \udc00the"), ["the", "the"]);
  });

  it("refuses to truncate to fewer tokens than the template has", () => {
    assert.throws(
      () => tokenizer.encode("the", { truncation: { maxLength: 1 } }),
      /maxLength: expected an integer of at least 2/,
    );
    assert.equal(tokenizer.encode("the the", { truncation: { maxLength: 2 } }).overflowing.length, 1);
  });

  it("refuses ids that no token has", () => {
    refuses(() => tokenizer.decode([12]), /expected an id from 0 to 11, got 12/);
  });
});

describe("files of WordPiece", () => {
  it("keep keys that mean something to JavaScript objects, in id order", () => {
    assert.match(writeWordPieceJson(vocabulary), /"the":8,"12":9,"__proto__":10/);
    assert.deepEqual(readWordPieceJson(changed(() => {})), vocabulary);
    assert.equal(writeVocabTxt(vocabulary), vocab.text);
  });

  it("may have Windows line ends", () => {
    assert.deepEqual(readVocabTxt({ ...vocab, text: vocab.text.replaceAll("\n", "\r\n") }), vocabulary);
  });

  it("are refused, naming the fault", () => {
    refuses(
      () => readVocabTxt({ ...vocab, text: `${vocab.text}un\n` }),
      /m\/vocab\.txt: line 13: .*got "un", as in line 6/,
    );
    refuses(() => readVocabTxt({ ...vocab, text: "a\nb\n" }), /expected a token "\[UNK\]", got 2 tokens without it/);
    refuses(() => readVocabTxt(vocab, { name: "c.json", text: "{" }), /c\.json: expected JSON/);
    const bad: [change: (file: Json & { model: Json }) => void, pattern: RegExp][] = [
      [({ model }) => Object.assign(model, { type: "BPE" }), /model: expected "WordPiece", got the kind "BPE"/],
      [({ model }) => Object.assign(model, { vocab: [] }), /model\.vocab: expected an object, got \[\]/],
      [({ model }) => Object.assign(model.vocab as Json, { un: 6 }), /a unique id, got 6/],
      [({ model }) => Object.assign(model.vocab as Json, { un: -1 }), /expected an id from 0/],
      [({ model }) => Object.assign(model, { unk_token: "x" }), /unk_token: expected a token of model.vocab, got "x"/],
      [
        (file) => Object.assign(file, { normalizer: { type: "NFKC" } }),
        /normalizer: expected "BertNormalizer".*"NFKC"/,
      ],
      [(file) => Object.assign(file, { pre_tokenizer: null }), /pre_tokenizer: expected "BertPreTokenizer", got null/],
      [(file) => Object.assign(file, { decoder: { type: "BPEDecoder" } }), /decoder/],
      [(file) => Object.assign(file, { post_processor: { type: "ByteLevel" } }), /post_processor: .*"ByteLevel"/],
      [
        (file) => Object.assign(file.post_processor as Json, { single: [] }),
        /post_processor: expected a template with A/,
      ],
    ];
    for (const [change, pattern] of bad) refuses(() => readWordPieceJson(changed(change)), pattern);
    refuses(() => writeVocabTxt({ ...vocabulary, tokens: ["a", undefined] }), /no token for 1/);
    const legacy: WordPieceVocabulary = { ...vocabulary, normalizer: { ...vocabulary.normalizer, legacy: true } };
    refuses(() => writeWordPieceJson(legacy), /the legacy one/);
  });

  it("are reported by name when missing", async () => {
    await assert.rejects(loadWordPiece("/nowhere"), /expected tokenizer\.json or vocab\.txt, got no such path/);
    assert.equal(await readWordPieceFolder(async () => undefined), undefined);
    assert.throws(() => bertVocabulary(["[UNK]"]), /expected a token "\[CLS\]"/);
  });

  it("are refused if an added token's id is not an id", () => {
    for (const id of [-1, 0.5, 2 ** 31 - 1, 2 ** 32, 1e300]) {
      const added = [{ id, content: "[NEW]", special: true }];
      const read = () => readWordPieceJson(changed((file) => Object.assign(file, { added_tokens: added })));
      refuses(read, /added tokens: "\[NEW\]": expected an id from 0 to/);
    }
  });

  it("with tens of thousands of added tokens are read quickly", () => {
    const read = (count: number): number => {
      const file = changed((json) => {
        const added = Array.from({ length: count }, (_, i) => ({ id: TOKENS.length + i, content: `new${i}` }));
        Object.assign(json, { added_tokens: added });
      });
      const { user } = process.cpuUsage();
      assert.equal(readWordPieceJson(file).tokens.length, TOKENS.length + count);
      return process.cpuUsage().user - user;
    };
    read(1000);
    // A search through all tokens for each takes a hundred times as long for ten times as many.
    assert.ok(read(40_000) < 60 * Math.max(read(4000), 2000));
  });

  it("give typed errors or work when damaged", { timeout }, () => {
    const text = writeWordPieceJson(vocabulary);
    fuzz(1500, (mutator, what) => {
      guarded(what, () => {
        const read = new WordPieceTokenizer(readWordPieceJson({ name: "x", text: mutator.json(text) }));
        read.decode(read.encode(["The unaffable, 12", "[MASK]"], { allowedSpecial: "all" }).ids);
      });
    });
  });
});
