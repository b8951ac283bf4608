import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../src/errors.js";
import { checkOptionNames, editDistance, nearest } from "../../src/util/nearest.js";

test("edit distance counts insertions, deletions, substitutions and swaps", () => {
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("score", "scor"), 1);
  assert.equal(editDistance("tarin", "train"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
});

test("the nearest word, if one is near", () => {
  const words = ["score", "train", "tokenize", "tokenizer"];
  assert.equal(nearest("Scor", words), "score");
  assert.equal(nearest("tokenzier", words), "tokenizer");
  assert.equal(nearest("Once", words), undefined);
});

test("an unknown option is an error that suggests the nearest", () => {
  interface Options {
    readonly maxNewTokens?: number;
    readonly seed?: number;
  }
  const names = { maxNewTokens: true, seed: true } as const;
  const options = { maxTokens: 3 } as Options;
  assert.throws(
    () => checkOptionNames("generate", options, names),
    (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, "generate: expected options that exist, got maxTokens. Did you mean maxNewTokens?");
      return true;
    },
  );
  assert.throws(() => checkOptionNames("generate", { x: 1 } as Options, names), /Options: maxNewTokens, seed/);
  checkOptionNames<Options>("generate", { seed: 1 }, names);
});
