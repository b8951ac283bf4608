/** Tokens beside the merges: found in every text unless they are special. Against transformers: variants.test.ts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadTokenizer } from "../../src/tokenizer/files.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { type AddedToken, type Vocabulary, withoutAddedFrom } from "../../src/tokenizer/vocabulary.js";
import { packageFile } from "../../src/util/package-root.js";

const { vocabulary } = await loadTokenizer(packageFile("models/default"));

/** The default model's tokenizer with more tokens. */
function withTokens(...tokens: Omit<AddedToken, "id">[]): Tokenizer {
  const texts = tokens.map(({ text }) => new TextEncoder().encode(text));
  const first = vocabulary.size;
  const offsets = new Uint32Array(first + tokens.length + 1);
  offsets.set(vocabulary.offsets);
  texts.forEach((text, i) => {
    offsets[first + i + 1] = offsets[first + i]! + text.length;
  });
  const bytes = new Uint8Array(offsets.at(-1)!);
  bytes.set(vocabulary.bytes);
  for (const [i, text] of texts.entries()) bytes.set(text, offsets[first + i]);
  const added = [...vocabulary.added, ...tokens.map((token, i) => ({ ...token, id: first + i }))];
  return new Tokenizer({ ...vocabulary, size: first + tokens.length, bytes, offsets, added });
}

describe("added tokens", () => {
  it("split every text, from text and from UTF-8, and decode to themselves", () => {
    const tokenizer = withTokens({ text: "foobar", special: false, normalized: true });
    // tokenizers 0.23: add_tokens(["foobar"])
    assert.deepEqual([...tokenizer.encode("a foobar b")], [64, 220, 8192, 271]);
    assert.deepEqual([...tokenizer.encodeBytes(new TextEncoder().encode("a foobar b"))], [64, 220, 8192, 271]);
    assert.equal(tokenizer.decode([64, 220, 8192, 271]), "a foobar b");
    assert.deepEqual([...tokenizer.specialTokens.keys()], ["<|endoftext|>"]);
  });

  it("are found beside special tokens, which still have to be allowed", () => {
    const tokenizer = withTokens({ text: "of", special: false });
    const [end] = tokenizer.encode("<|endoftext|>", { allowedSpecial: "all" });
    assert.equal(end, tokenizer.endOfText);
    const text = "of<|endoftext|>of";
    assert.deepEqual([...tokenizer.encode(text, { allowedSpecial: "all" })], [8192, end, 8192]);
    assert.equal(tokenizer.encode(text).filter((id) => id === 8192).length, 2);
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  });

  it("take the same time in any number", { timeout: 20_000 }, () => {
    const tokens = Array.from({ length: 5000 }, (_, i) => ({ text: `<tok${i}>`, special: false }));
    const tokenizer = withTokens(...tokens);
    const text = "The <tok4999> Mole <tok17>\n".repeat(5000);
    assert.equal(tokenizer.encode(text).filter((id) => id === 8192 + 17).length, 5000);
  });
});

describe("a vocabulary for a model of another size", () => {
  it("drops the added tokens for which the model has no rows", () => {
    const { vocabulary: larger } = withTokens({ text: "<pad>", special: true }, { text: "foo", special: false });
    assert.deepEqual({ ...(withoutAddedFrom(larger, 8192) as Vocabulary) }, { ...vocabulary });
    assert.equal(withoutAddedFrom(larger, 8000), undefined);
  });

  it("decodes the model's ids without a token to nothing, and refuses others", async () => {
    const gpt2 = await gpt2Tokenizer();
    const tokenizer = new Tokenizer(gpt2.vocabulary, { modelVocabSize: 50304 });
    assert.equal(tokenizer.vocabSize, 50257);
    assert.equal(tokenizer.decode([15496, 50257, 50303, 995]), "Hello world");
    assert.equal(tokenizer.decodeBytes([50300]).length, 0);
    assert.equal(tokenizer.idToBytes(50300).length, 0);
    assert.equal(tokenizer.decoder().push(50300), "");
    assert.throws(() => tokenizer.decode([50304]), /expected an id from 0 to 50256, got 50304/);
    assert.throws(() => gpt2.decode([50300]), /got 50300/);
    const all = Uint32Array.from({ length: 50304 }, (_, id) => id);
    assert.equal(tokenizer.decodeBytes(all).length, gpt2.decodeBytes(all.subarray(0, 50257)).length);
  });
});
