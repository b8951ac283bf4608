import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { TokenizerError } from "../../src/errors.js";
import { loadTokenizer, saveLlmcTokenizer } from "../../src/tokenizer/files.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { readLlmcTokenizer, writeLlmcTokenizer } from "../../src/tokenizer/llmc-file.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { trainTokenizer } from "../../src/tokenizer/train.js";
import { vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream, readChapters, readHuggingFace, readOracle } from "./support.js";

const fixture = new Uint8Array(await readFile(packageFile("test/fixtures/tokenizer/llmc-small.bin")));
const folder = await mkdtemp(join(tmpdir(), "gpt2-llmc-tokenizer-"));
after(() => rm(folder, { recursive: true }));

function changed(change: (view: DataView, file: Uint8Array) => void): Uint8Array {
  const file = fixture.slice();
  change(new DataView(file.buffer), file);
  return file;
}

function refuses(file: Uint8Array, pattern: RegExp): void {
  assert.throws(
    () => readLlmcTokenizer(file, "x.bin"),
    (error) => error instanceof TokenizerError && pattern.test(error.message),
    `${pattern}`,
  );
}

describe("llm.c's tokenizer file", () => {
  it("of GPT-2 equals tiktoken's to the byte, and reads back as GPT-2's tokenizer with its merges", async () => {
    const { vocabulary } = await gpt2Tokenizer();
    const file = writeLlmcTokenizer(vocabulary);
    // scripts/python/make_llmc_tokenizer_fixture.py prints it.
    const sha256 = "6f3abc21e444e4e8300e225f4e03da48ea121cf17e30f67009b8dad7a66c2f13";
    assert.equal(createHash("sha256").update(file).digest("hex"), sha256);
    assert.deepEqual(readLlmcTokenizer(file, "gpt2"), vocabulary);
  });

  it("made by tiktoken from another vocabulary reads back as that vocabulary", () => {
    const expected = readTokenizerJson(JSON.stringify(readHuggingFace().tokenizer), "hf-trained.json");
    assert.deepEqual(readLlmcTokenizer(fixture, "small"), expected);
    assert.deepEqual(writeLlmcTokenizer(expected), fixture);
  });

  it("is found by its name, and encodes", async () => {
    const path = join(folder, "gpt2_tokenizer.bin");
    await saveLlmcTokenizer(await gpt2Tokenizer(), path);
    const tokenizer = await loadTokenizer(path);
    for (const { text, ids } of readOracle().slice(0, 300)) assert.deepEqual([...tokenizer.encode(text)], ids);
    assert.equal(tokenizer.endOfText, 50256);
    await assert.rejects(loadTokenizer(join(folder, "none.bin")), TokenizerError);
  });

  it("keeps special tokens, though it does not mark them", async () => {
    const specialTokens = ["<|endoftext|>", "<|user|>", "<|assistant|>"];
    const { vocabulary } = await trainTokenizer(readChapters().slice(0, 1), { vocabSize: 500, specialTokens });
    assert.deepEqual(readLlmcTokenizer(writeLlmcTokenizer(vocabulary), "x"), vocabulary);
  });

  it("keeps another token that ends a text, and one without bytes is <|endoftext|>", async () => {
    const { vocabulary } = await trainTokenizer(readChapters().slice(0, 1), {
      vocabSize: 300,
      specialTokens: ["</s>"],
    });
    const file = writeLlmcTokenizer(vocabulary);
    assert.deepEqual(readLlmcTokenizer(file, "x"), { ...vocabulary, endOfText: 299 });
    const nameless = file.slice(0, -4);
    nameless[nameless.length - 1] = 0;
    assert.deepEqual(readLlmcTokenizer(nameless, "x").added, [{ id: 299, text: "<|endoftext|>", special: true }]);
  });

  it("of version 1 has <|endoftext|> where GPT-2 has it", async () => {
    const { vocabulary } = await gpt2Tokenizer();
    const file = writeLlmcTokenizer(vocabulary);
    new DataView(file.buffer).setInt32(4, 1, true);
    new DataView(file.buffer).setInt32(12, 0, true);
    assert.deepEqual(readLlmcTokenizer(file, "x").added, [{ id: 50256, text: "<|endoftext|>", special: true }]);
  });

  it("is refused when malformed, naming the fault", () => {
    refuses(new Uint8Array(0), /1024 bytes of header, got a file of 0/);
    refuses(
      changed((view) => view.setInt32(0, 20240326, true)),
      /magic number 20240328, got 20240326/,
    );
    refuses(
      changed((view) => view.setInt32(4, 3, true)),
      /version 1 or 2, got 3/,
    );
    refuses(
      changed((view) => view.setInt32(8, -1, true)),
      /1 to \d+ tokens, got -1/,
    );
    refuses(
      changed((view) => view.setInt32(8, 2 ** 30, true)),
      /tokens, got 1073741824/,
    );
    refuses(
      changed((view) => view.setInt32(12, 1200, true)),
      /endoftext.*got 1200/,
    );
    refuses(
      changed((view) => view.setInt32(8, 1201, true)),
      /1201 tokens, got a file that ends in token 1200/,
    );
    refuses(
      changed((view) => view.setInt32(4, 1, true)),
      /endoftext.*below 1200, got 50256/,
    );
    refuses(fixture.slice(0, -1), /ends in token 1199/);
    refuses(Uint8Array.from([...fixture, 1]), /the end after 1200 tokens, got 1 bytes more/);
    refuses(
      changed((_, file) => void (file[1025] = 0x22)),
      /no token for byte 0x21/,
    );
  });

  it("is read or refused with a typed error, whatever is changed", () => {
    const random = new RandomStream(1);
    for (let round = 0; round < 300; round++) {
      const file = fixture.slice(0, random.below(4) === 0 ? random.below(fixture.length) : fixture.length);
      for (let n = random.below(8); n > 0; n--)
        file[random.below(2) ? random.below(16) : random.below(file.length)] = random.below(256);
      try {
        const { size } = readLlmcTokenizer(file, "x.bin");
        assert.ok(size <= file.length);
      } catch (error) {
        assert.ok(error instanceof TokenizerError, String(error));
      }
    }
  });

  it("cannot be written for vocabularies that it cannot hold", () => {
    const none = vocabularyFromMerges(new Uint32Array(0), []);
    assert.throws(() => writeLlmcTokenizer(none), /a token <\|endoftext\|>, got no such token/);
    const long = vocabularyFromMerges(new Uint32Array(0), ["<|endoftext|>", "x".repeat(256)]);
    assert.throws(() => writeLlmcTokenizer(long), /token 257: expected 1 to 255 bytes, got 256/);
  });
});
