/** Folders of tokenizers give the ids that transformers' AutoTokenizer gives: make_tokenizer_variants_fixture.py. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { loadTokenizer, saveTokenizer } from "../../src/tokenizer/files.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { readHuggingFace, readVariants, type Variant } from "./support.js";

const { texts, variants } = readVariants();
const base = readHuggingFace().tokenizer;
const parent = await mkdtemp(join(tmpdir(), "gpt2-ts-variants-"));
after(() => rm(parent, { recursive: true }));

/** The files of a variant: its vocabulary and what lies beside it. */
function filesOf({ changes, files }: Variant): Record<string, string> {
  if (changes) return { ...files, "tokenizer.json": JSON.stringify({ ...base, ...changes }) };
  const merges = base.model.merges.map((merge) => `${merge.join(" ")}\n`).join("");
  const vocab = JSON.stringify({ ...base.model.vocab, "<|endoftext|>": 1199 });
  return { ...files, "vocab.json": vocab, "merges.txt": `#version: 0.2\n${merges}` };
}

function givesTheIds(tokenizer: Tokenizer, { special, plain }: Variant): void {
  for (const [i, text] of texts.entries()) {
    const where = JSON.stringify(text);
    assert.deepEqual([...tokenizer.encode(text, { allowedSpecial: "all" })], special[i], where);
    assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: false })], plain[i], where);
    const utf8 = new TextEncoder().encode(text);
    assert.deepEqual([...tokenizer.encodeBytes(utf8, { allowedSpecial: "all" })], special[i], where);
  }
}

async function write(name: string, files: Record<string, string>): Promise<string> {
  const folder = join(parent, name);
  await mkdir(folder);
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  return folder;
}

describe("a folder's tokenizer gives transformers' ids, also after saving", () => {
  for (const [i, variant] of variants.entries()) {
    it(variant.name, async () => {
      const tokenizer = await loadTokenizer(await write(`${i}`, filesOf(variant)));
      assert.equal(tokenizer.vocabSize, variant.size);
      givesTheIds(tokenizer, variant);
      const [start, end] = variant.ends;
      // Where no file names them, ours end with `<|endoftext|>` if it is special.
      if (start !== null) assert.equal(tokenizer.startOfText, start);
      if (end !== null) assert.equal(tokenizer.endOfText, end);
      await saveTokenizer(tokenizer, join(parent, `${i}-saved`));
      const saved = await loadTokenizer(join(parent, `${i}-saved`));
      assert.deepEqual(saved.vocabulary, tokenizer.vocabulary);
    });
  }
});
