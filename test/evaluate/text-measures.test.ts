/** Measures of written text (scripts/text-measures.ts), on texts small enough to count by hand. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { distinct, namesIn, namesKept, rareWords, repeated, wordCounts } from "../../scripts/text-measures.js";

describe("measures of written text", () => {
  it("find names inside sentences, not the first words of them", () => {
    const text = "The fox met Anna, Ben and old Mr Finch on Monday. Then Anna’s cat ran. I saw Caf\u00e9 Luna.";
    assert.deepEqual([...namesIn(text)], ["Anna", "Ben", "Finch", "Caf\u00e9", "Luna"]);
  });

  it("count the names that a prompt had", () => {
    const prompt = "Anna looked at the sea. Her brother, Ben, was late.";
    // Anna, at the start of a sentence, is a name because it is one later.
    const continuation = " Anna called. Then came Ben and Clara, and Anna’s dog. Clara sat.";
    assert.deepEqual(namesKept(prompt, continuation), { kept: 3, all: 5, new: ["Clara"] });
    assert.deepEqual(namesKept(prompt, " They went home."), { kept: 0, all: 0, new: [] });
  });

  it("count different and repeated n-grams", () => {
    const texts = ["a b a b", "a b c"];
    assert.equal(distinct(texts, 1), 3 / 7);
    assert.equal(distinct(texts, 2), 3 / 5);
    assert.equal(repeated(texts, 2), 1 / 5);
    assert.equal(repeated(["a b c d"], 2), 0);
    assert.deepEqual([distinct([], 1), repeated(["a"], 4)], [1, 0]);
  });

  it("find words that a corpus hardly has, names aside", () => {
    const counts = wordCounts(["The cat sat. The cat ran.", "a cat"]);
    assert.equal(counts.get("cat"), 3);
    const { share, words } = rareWords(["The cat saw Zorro and flumped."], counts, 2);
    assert.deepEqual(words, ["saw", "and", "flumped"]);
    assert.equal(share, 3 / 5);
  });
});
