/** Damaged tokenizer files give a typed error, or a tokenizer that returns every text unchanged if it has all bytes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseShard } from "../../src/data/shard.js";
import { readGpt2Files, writeMergesTxt, writeVocabJson } from "../../src/tokenizer/gpt2-files.js";
import { readLlmcTokenizer } from "../../src/tokenizer/llmc-file.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { readTokenizerJson, writeTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { NO_ID, type Vocabulary, vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";
import { packageFile } from "../../src/util/package-root.js";
import { fuzz, guarded, type Mutator, timeout } from "../checkpoint/mutator.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const { byteIds } = vocabularyFromMerges(new Uint32Array(0));
const id = (letter: string): number => byteIds[letter.charCodeAt(0)]!;
const VOCABULARY = vocabularyFromMerges(
  Uint32Array.of(id("t"), id("h"), 256, id("e"), id(" "), 257, id("a"), id("n")),
  ["<|endoftext|>", "<|pad|>"],
);
const TEXT = "then the other than\n\u00e9\u{1f600} \0the";

/** An id may be a million, with as many unused ids before it. */
const MOST_MORE = 2 ** 26;

function attempt(what: string, read: () => Vocabulary): void {
  guarded(
    what,
    () => {
      const vocabulary = read();
      const tokenizer = new Tokenizer(vocabulary);
      const text = tokenizer.decode(tokenizer.encode(TEXT));
      const { addPrefixSpace, template, byteIds, added } = vocabulary;
      const changes = addPrefixSpace || template || added.some(({ lstrip, rstrip }) => lstrip || rstrip);
      if (!changes && !byteIds.includes(NO_ID)) assert.equal(text, TEXT);
    },
    MOST_MORE,
  );
}

/** As JSON that mostly still parses, or as bytes. */
function damagedText(mutator: Mutator, text: string): string {
  if (mutator.below(3) > 0) return mutator.json(text);
  const bytes = encode(text);
  return decode(mutator.bytes(bytes, bytes.length));
}

describe("damaged tokenizers give typed errors or work", () => {
  it("tokenizer.json", { timeout }, () => {
    const text = writeTokenizerJson(VOCABULARY);
    const end = text.indexOf('"vocab"');
    fuzz(3000, (mutator, what) => {
      // Half of the damage is at the fields that give the kind of tokenizer.
      const damaged =
        mutator.below(2) > 0 ? damagedText(mutator, text) : mutator.json(text.slice(0, end)) + text.slice(end);
      attempt(what, () => readTokenizerJson(damaged));
    });
  });

  it("vocab.json, merges.txt and added_tokens.json", { timeout }, () => {
    const files = { vocab: writeVocabJson(VOCABULARY), merges: writeMergesTxt(VOCABULARY), added: '{"<|pad|>":261}' };
    fuzz(3000, (mutator, what) => {
      const which = mutator.pick(["vocab", "merges", "added"] as const);
      const bytes = encode(files[which]);
      const damaged =
        which === "merges" ? decode(mutator.bytes(bytes, bytes.length)) : damagedText(mutator, files[which]);
      attempt(what, () => readGpt2Files({ ...files, [which]: damaged }));
    });
  });

  it("llm.c's", { timeout }, () => {
    const file = new Uint8Array(readFileSync(packageFile("test/fixtures/tokenizer/llmc-small.bin")));
    fuzz(600, (mutator, what) => {
      const damaged = mutator.below(2) > 0 ? mutator.bytes(file, 16) : mutator.overwrite(file, 0, file.length);
      attempt(what, () => readLlmcTokenizer(damaged, "x.bin"));
    });
  });
});

it("damaged token shards are read or refused", { timeout }, () => {
  const file = new Uint8Array(1024 + 2000);
  new Int32Array(file.buffer, 0, 3).set([20240520, 1, 1000]);
  fuzz(3000, (mutator, what) => {
    const damaged = mutator.bytes(file, 16);
    guarded(what, () => assert.ok(2 * parseShard(damaged).length <= damaged.length));
  });
});
