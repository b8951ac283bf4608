/** The default model's card, its overlap.json and its weights belong together. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type OverlapFacts, withOverlap } from "../../../scripts/overlap-card.js";
import { packageFile } from "../../../src/util/package-root.js";

const read = (name: string) => readFileSync(packageFile(`models/default/${name}`));
const facts = JSON.parse(read("overlap.json").toString()) as OverlapFacts;
const card = read("README.md").toString();

describe("overlap in the default model's card", () => {
  it("is of its weights and tokenizer", () => {
    const sha256 = (name: string) => createHash("sha256").update(read(name)).digest("hex");
    const hint = "measure it again: node dist/scripts/default-overlap.js";
    assert.equal(facts.tokenizer, sha256("tokenizer.json"), hint);
    assert.equal(facts.model!.weights, sha256("model.safetensors"), hint);
  });

  it("is the measured one", () => {
    assert.equal(withOverlap(card, facts), card);
    for (const { found, ngrams, overlap } of facts.sets) assert.equal(overlap, found / ngrams);
  });

  it("replaces its section, or is inserted before the limits", () => {
    const [start, end] = ["## Overlap with", "## Use and limits"].map((heading) => card.indexOf(heading));
    const without = card.slice(0, start) + card.slice(end);
    assert.ok(start! > 0 && end! > start! && !without.includes("Overlap with"));
    assert.equal(withOverlap(without, facts), card);
    const other = withOverlap(card, { ...facts, sets: facts.sets.slice(0, 1), model: undefined });
    assert.ok(other.length < card.length && other.startsWith(card.slice(0, start)) && other.endsWith(card.slice(end)));
    assert.throws(() => withOverlap("# Another card\n", facts), /Use and limits/);
  });
});
