import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { readOracle } from "./support.js";

const oracle = readOracle();
const tokenizer = await gpt2Tokenizer();
const utf8 = new TextEncoder();

describe("GPT-2's tokenizer against tiktoken", () => {
  it("knows all 2,039 strings", () => {
    assert.equal(oracle.length, 2039);
  });

  it("has GPT-2's vocabulary", () => {
    assert.equal(tokenizer.vocabSize, 50257);
    assert.equal(tokenizer.endOfText, 50256);
    assert.deepEqual([...tokenizer.specialTokens], [["<|endoftext|>", 50256]]);
    assert.equal(tokenizer.decode([15496, 995]), "Hello world");
  });

  it("gives the same ids, from text and from UTF-8", () => {
    for (const { text, ids } of oracle) {
      assert.deepEqual([...tokenizer.encode(text)], ids, JSON.stringify(text));
      assert.deepEqual([...tokenizer.encodeBytes(utf8.encode(text))], ids, JSON.stringify(text));
    }
  });

  it("gives the same ids for all strings in sequence as for each", () => {
    // A line feed after a letter starts a word of its own, and so does a letter after it.
    const text = oracle.map((line) => `x${line.text}x`).join("\n");
    const ids = oracle.flatMap((line, i) => [...tokenizer.encode(`${i > 0 ? "\n" : ""}x${line.text}x`)]);
    assert.deepEqual([...tokenizer.encode(text)], ids);
  });

  it("decodes to the original bytes and text", () => {
    for (const { text, ids } of oracle) {
      assert.deepEqual(tokenizer.decodeBytes(ids), utf8.encode(text));
      assert.equal(tokenizer.decode(ids), text);
      assert.equal(tokenizer.decode(Uint32Array.from(ids)), text);
    }
  });

  it("decodes one id at a time without splitting a character", () => {
    const decoder = tokenizer.decoder();
    for (const { text, ids } of oracle) {
      const parts = ids.map((id) => decoder.push(id));
      assert.equal(decoder.flush(), "");
      assert.equal(parts.join(""), text);
      for (const part of parts) assert.doesNotMatch(part, /\p{Surrogate}/u);
      // Each character comes with the token that ends it: no part may be held back longer than it must.
      let bytes = 0;
      let seen = 0;
      for (const [i, part] of parts.entries()) {
        bytes += tokenizer.idToBytes(ids[i]!).length;
        seen += utf8.encode(part).length;
        assert.ok(bytes - seen < 4);
      }
    }
  });
});
