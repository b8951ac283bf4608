import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { TokenizerError } from "../../src/errors.js";
import { loadTokenizer, saveTokenizer } from "../../src/tokenizer/files.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { readGpt2Files, writeMergesTxt, writeVocabJson } from "../../src/tokenizer/gpt2-files.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { readTokenizerJson, writeTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { trainTokenizer } from "../../src/tokenizer/train.js";
import type { Vocabulary } from "../../src/tokenizer/vocabulary.js";
import { readChapters, readHuggingFace } from "./support.js";

const small = await trainTokenizer(readChapters().slice(0, 2), { vocabSize: 400 });
const { vocabulary } = small;
const vocab = writeVocabJson(vocabulary);
const merges = writeMergesTxt(vocabulary);
const folder = await mkdtemp(join(tmpdir(), "gpt2-ts-tokenizer-"));
after(() => rm(folder, { recursive: true }));

type Json = Record<string, unknown>;

/** tokenizer.json of the small vocabulary, changed. */
function changed(change: (file: Json & { model: Json }) => void): string {
  const file = JSON.parse(writeTokenizerJson(vocabulary)) as Json & { model: Json };
  change(file);
  return JSON.stringify(file);
}

function refuses(read: () => unknown, ...patterns: RegExp[]): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof TokenizerError, String(error));
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
}

describe("vocab.json and merges.txt", () => {
  it("are read back unchanged", () => {
    assert.deepEqual(readGpt2Files({ vocab, merges }), vocabulary);
  });

  it("are read back for GPT-2 itself, keys and ids in order", async () => {
    const { vocabulary: gpt2 } = await gpt2Tokenizer();
    const text = writeVocabJson(gpt2);
    assert.ok(text.startsWith('{"!":0,"\\"":1,"#":2,') && text.endsWith('"<|endoftext|>":50256}'));
    assert.ok(writeMergesTxt(gpt2).startsWith("#version: 0.2\nĠ t\nĠ a\nh e\n"));
    assert.deepEqual(readGpt2Files({ vocab: text, merges: writeMergesTxt(gpt2) }), gpt2);
  });

  it("may have no version line, Windows line ends, and merges that begin with #", async () => {
    const hashes = await trainTokenizer(["## ## ##"], { vocabSize: 260, minFrequency: 1 });
    const lines = writeMergesTxt(hashes.vocabulary);
    assert.match(lines, /^# #$/m);
    const read = readGpt2Files({
      vocab: writeVocabJson(hashes.vocabulary),
      merges: lines.replace("#version: 0.2\n", "").replaceAll("\n", "\r\n"),
    });
    assert.deepEqual(read, hashes.vocabulary);
  });

  it("may have ids in any order, holes, and more special tokens", () => {
    const ids = JSON.parse(vocab) as Record<string, number>;
    const moved = Object.fromEntries(Object.entries(ids).map(([text, id]) => [text, 1000 - 2 * id]));
    const read = new Tokenizer(readGpt2Files({ vocab: JSON.stringify(moved), merges, added: '{"<|pad|>": 1007}' }));
    assert.equal(read.vocabSize, 1008);
    const text = "The Mole's “boat”";
    assert.deepEqual(
      [...read.encode(text)],
      [...small.encode(text)].map((id) => 1000 - 2 * id),
    );
    assert.equal(read.decode(read.encode(text)), text);
    assert.deepEqual([...read.encode("<|pad|><|endoftext|>", { allowedSpecial: "all" })], [1007, 1000 - 2 * 399]);
    refuses(() => read.decode([999]), /token of this vocabulary/);
  });

  it("keep keys that mean something to JavaScript objects", async () => {
    const odd = await trainTokenizer(["__proto__ 12 12 constructor".repeat(3)], { vocabSize: 300 });
    assert.ok(odd.encode("__proto__").length < 9);
    const files = { vocab: writeVocabJson(odd.vocabulary), merges: writeMergesTxt(odd.vocabulary) };
    assert.deepEqual(readGpt2Files(files), odd.vocabulary);
    assert.deepEqual(readTokenizerJson(writeTokenizerJson(odd.vocabulary)), odd.vocabulary);
  });

  it("are refused when merges.txt is truncated", () => {
    // Cut anywhere: in the middle of a line, or at its end, where all remaining lines are valid.
    for (let length = 14; length < merges.length - 1; length++) {
      refuses(() => readGpt2Files({ vocab, merges: merges.slice(0, length) }), /merges\.txt/);
    }
    refuses(
      () => readGpt2Files({ vocab, merges: merges.slice(0, 14) }),
      /got 0 merges, none that makes "Ġt" \(id 256\)/,
    );
  });

  it("are refused when malformed, naming file and place", () => {
    const read = (files: Partial<{ vocab: string; merges: string; added: string }>) => () =>
      readGpt2Files({ vocab, merges, vocabName: "m/vocab.json", mergesName: "m/merges.txt", ...files });
    const ids = JSON.parse(vocab) as Record<string, unknown>;
    const withIds = (change: Record<string, unknown>) => read({ vocab: JSON.stringify({ ...ids, ...change }) });
    refuses(read({ vocab: vocab.slice(0, 500) }), /m\/vocab\.json: expected JSON/);
    refuses(read({ vocab: "[]" }), /m\/vocab\.json: expected a JSON object, got \[\]/);
    refuses(withIds({ th: "x" }), /m\/vocab\.json: token "th": expected an id from 0/);
    refuses(withIds({ th: -1 }), /expected an id from 0 .*, got -1/);
    refuses(withIds({ th: 1.5 }), /got 1\.5/);
    refuses(withIds({ th: 2 ** 40 }), /got 1099511627776/);
    refuses(withIds({ th: 7 }), /token "(th|\()": expected a unique id, got 7/);
    refuses(withIds({ "<|endoftext|>": null }), /token "<\|endoftext\|>"/);
    refuses(withIds({ "two words": 900 }), /"two words": expected characters that stand for bytes/);
    refuses(withIds({ "▁the": 900 }), /byte-level/);
    refuses(withIds({ "": 900 }), /token "": expected at least one character/);
    const { "!": _, ...withoutByte } = ids;
    refuses(read({ vocab: JSON.stringify(withoutByte) }), /m\/merges\.txt: line \d+: .*got "!", which is not a token/);
    refuses(read({ vocab: vocab.replace("{", '{"!":0,') }), /m\/vocab\.json: expected each key once, got the key "!"/);
    refuses(
      read({ merges: `${merges}Ġ t\n` }),
      /line 145: expected a unique merge, got the same as .*line 2 \("Ġ t"\)/,
    );
    refuses(read({ merges: `${merges}a b c\n` }), /m\/merges\.txt: line 145: expected two tokens .*, got "a b c"/);
    refuses(read({ merges: `${merges}ab\n` }), /got "ab"/);
    refuses(read({ merges: `${merges}a \n` }), /got "a "/);
    refuses(read({ merges: `${merges}q Ġzz\n` }), /m\/merges\.txt: line 145: .*got "Ġzz", which is not a token/);
    refuses(read({ merges: `${merges}q q\n` }), /got "qq", which is not a token/);
    refuses(read({ added: '{"<|pad|>": 3}' }), /"<\|pad\|>": expected a unique id/);
  });
});

describe("tokenizer.json", () => {
  it("is read back unchanged", () => {
    assert.deepEqual(readTokenizerJson(writeTokenizerJson(vocabulary)), vocabulary);
  });

  it("is read as Hugging Face tokenizers writes it, and gives the same ids", () => {
    const { tokenizer, samples } = readHuggingFace();
    const read = new Tokenizer(readTokenizerJson(JSON.stringify(tokenizer)));
    assert.equal(read.vocabSize, 1200);
    assert.equal(read.endOfText, 1199);
    for (const { text, ids } of samples) {
      assert.deepEqual([...read.encode(text)], ids);
      assert.equal(read.decode(ids), text);
    }
  });

  it("may write merges as strings or as pairs, leave parts out, wrap the pre-tokenizer", () => {
    const accepts = (change: (file: Json & { model: Json }) => void) =>
      assert.deepEqual(readTokenizerJson(changed(change)), vocabulary);
    accepts(({ model }) => {
      model.merges = (model.merges as string[]).map((merge) => merge.split(" "));
    });
    accepts((file) => {
      delete file.model.type;
      delete file.decoder;
      delete file.normalizer;
      file.post_processor = null;
    });
    accepts((file) => {
      file.pre_tokenizer = { type: "Sequence", pretokenizers: [file.pre_tokenizer] };
    });
    const added = changed((file) => {
      file.added_tokens = [...(file.added_tokens as Json[]), { id: 400, content: "[PAD] é", special: false }];
    });
    const read = new Tokenizer(readTokenizerJson(added));
    assert.deepEqual([...read.encode("[PAD] é", { allowedSpecial: "all" })], [400]);
    assert.equal(read.decode([400]), "[PAD] é");
  });

  it("is refused by name if it describes another kind of tokenizer", () => {
    const kinds: [change: (file: Json & { model: Json }) => void, ...patterns: RegExp[]][] = [
      [({ model }) => Object.assign(model, { type: "WordPiece" }), /model: expected "BPE", got the kind "WordPiece"/],
      [({ model }) => Object.assign(model, { type: "Unigram", merges: undefined }), /"Unigram"/],
      [({ model }) => Object.assign(model, { byte_fallback: true }), /model\.byte_fallback: expected none, got true/],
      [({ model }) => Object.assign(model, { ignore_merges: true }), /model\.ignore_merges/],
      [({ model }) => Object.assign(model, { dropout: 0.1 }), /model\.dropout: expected none, got 0\.1/],
      [({ model }) => Object.assign(model, { end_of_word_suffix: "</w>" }), /end_of_word_suffix.*"<\/w>"/],
      [(file) => Object.assign(file, { normalizer: { type: "NFC" } }), /normalizer: expected none, got the kind "NFC"/],
      [(file) => Object.assign(file, { pre_tokenizer: { type: "Whitespace" } }), /pre_tokenizer: .*"Whitespace"/],
      [(file) => Object.assign(file, { pre_tokenizer: null }), /pre_tokenizer: expected "ByteLevel", got null/],
      [
        (file) =>
          Object.assign(file, {
            pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Split" }, { type: "ByteLevel" }] },
          }),
        /"Sequence of Split, ByteLevel"/,
      ],
      [
        (file) => Object.assign(file.pre_tokenizer as Json, { add_prefix_space: 1 }),
        /add_prefix_space: expected true or false/,
      ],
      [
        (file) => Object.assign(file.pre_tokenizer as Json, { use_regex: false }),
        /use_regex: expected true, got false/,
      ],
      [
        (file) => Object.assign(file, { post_processor: { type: "TemplateProcessing" } }),
        /post_processor\.single: expected a template with a sequence, got undefined/,
      ],
      [
        (file) => Object.assign(file, { post_processor: { type: "BertProcessing", cls: ["a", 1] } }),
        /post_processor: expected special tokens with ids/,
      ],
      [(file) => Object.assign(file, { post_processor: { type: "Other" } }), /post_processor.*"Other"/],
      [({ model }) => Object.assign(model, { unk_token: "nowhere" }), /model\.unk_token: .*got "nowhere"/],
      [(file) => Object.assign(file, { decoder: { type: "Metaspace" } }), /decoder.*"Metaspace"/],
    ];
    for (const [change, ...patterns] of kinds) {
      refuses(() => readTokenizerJson(changed(change), "m/tokenizer.json"), /m\/tokenizer\.json/, /GPT-2/, ...patterns);
    }
  });

  it("is refused when malformed, naming the place", () => {
    const bad: [change: (file: Json & { model: Json }) => void, pattern: RegExp][] = [
      [(file) => Object.assign(file, { model: [] }), /model: expected an object, got \[\]/],
      [({ model }) => Object.assign(model, { vocab: 3 }), /model\.vocab: expected an object, got 3/],
      [({ model }) => Object.assign(model, { merges: {} }), /model\.merges: expected a list/],
      [({ model }) => (model.merges as unknown[]).splice(3, 1, 7), /model\.merges\[3\]: expected a merge.*got 7/],
      [({ model }) => (model.merges as unknown[]).splice(3, 1, ["a", "b", "c"]), /model\.merges\[3\]/],
      [({ model }) => (model.merges as unknown[]).splice(3, 1, ["", "b"]), /model\.merges\[3\]/],
      [
        ({ model }) => (model.merges as unknown[]).splice(3, 1, "q zzz"),
        /model\.merges\[3\].*"zzz", which is not a token/,
      ],
      [(file) => Object.assign(file, { added_tokens: "x" }), /added_tokens: expected a list/],
      [(file) => Object.assign(file, { added_tokens: [{ id: 1 }] }), /added_tokens\[0\]: expected an object with/],
      [(file) => Object.assign((file.added_tokens as Json[])[0]!, { id: 5 }), /added_tokens\[0\]: expected id 399/],
      [(file) => Object.assign(file, { added_tokens: [{ id: 900, content: "" }] }), /token "": expected at least one/],
    ];
    for (const [change, pattern] of bad) refuses(() => readTokenizerJson(changed(change)), /tokenizer\.json/, pattern);
    refuses(() => readTokenizerJson("{"), /tokenizer\.json: expected JSON/);
    refuses(() => readTokenizerJson("null"), /expected a JSON object, got null/);
    refuses(() => readTokenizerJson("{}"), /model: expected an object, got undefined/);
  });

  it("fails only with typed errors, whatever byte is changed", () => {
    const text = writeTokenizerJson(vocabulary);
    for (let i = 0; i < text.length; i += 17) {
      const damaged = `${text.slice(0, i)}${i % 2 === 0 ? "" : '"'}${text.slice(i + 1)}`;
      try {
        readTokenizerJson(damaged);
      } catch (error) {
        assert.ok(error instanceof TokenizerError, String(error));
      }
    }
  });
});

describe("a tokenizer on disk", () => {
  const same = (a: Tokenizer, b: Vocabulary): void => assert.deepEqual(a.vocabulary, b);

  it("is written in four files and read from each, and from the folder", async () => {
    const saved = join(folder, "saved");
    await saveTokenizer(small, saved);
    assert.deepEqual((await readdir(saved)).sort(), [
      "merges.txt",
      "tokenizer.json",
      "tokenizer_config.json",
      "vocab.json",
    ]);
    for (const name of ["", "tokenizer.json", "vocab.json", "merges.txt"]) {
      same(await loadTokenizer(join(saved, name)), vocabulary);
    }
    await rm(join(saved, "tokenizer.json"));
    same(await loadTokenizer(saved), vocabulary);
  });

  it("is read under OpenAI's names", async () => {
    const openai = join(folder, "openai");
    await saveTokenizer(small, openai);
    await rm(join(openai, "tokenizer.json"));
    await writeFile(join(openai, "encoder.json"), vocab);
    await rm(join(openai, "vocab.json"));
    await writeFile(join(openai, "vocab.bpe"), merges);
    same(await loadTokenizer(openai), vocabulary);
    same(await loadTokenizer(join(openai, "vocab.bpe")), vocabulary);
  });

  it("is reported by name when missing", async () => {
    const fails = (path: string, pattern: RegExp): Promise<void> =>
      assert.rejects(loadTokenizer(path), (error) => error instanceof TokenizerError && pattern.test(error.message));
    await fails(join(folder, "nowhere"), /nowhere: expected tokenizer\.json, .*got no such path/);
    await fails(folder, /a folder with none of them/);
    await fails(join(folder, "nowhere", "tokenizer.json"), /nowhere.tokenizer\.json.*no such file/);
    await writeFile(join(folder, "bad.json"), Uint8Array.of(0x7b, 0xff, 0x7d));
    await fails(join(folder, "bad.json"), /bad\.json: expected UTF-8 text/);
  });

  it("is written beside other files in a folder", async () => {
    const model = join(folder, "model");
    await saveTokenizer(small, model);
    await writeFile(join(model, "config.json"), "{}");
    await saveTokenizer(await trainTokenizer(["a"], { vocabSize: 257 }), model);
    assert.equal((await loadTokenizer(model)).vocabSize, 257);
    assert.ok((await readdir(model)).includes("config.json"));
  });
});
