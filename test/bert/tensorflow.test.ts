/** A BERT that TensorFlow saved with Google's names (scripts/python/make_bert_tensorflow_fixture.py). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BERT } from "../../src/bert.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { readAll } from "../checkpoint/small-model.js";
import { bertFolder } from "../helpers/bert-fixtures.js";

const FOLDER = packageFile("test/fixtures/tensorflow/bert");

describe("a checkpoint of Google's BERT", () => {
  it("has the configuration, tensors and parts of the folder from which it was made", async () => {
    const [saved, from] = [await openCheckpoint(FOLDER), await openCheckpoint(bertFolder("pretraining"))];
    assert.equal(saved.format, "tensorflow");
    assert.deepEqual(saved.config, from.config);
    assert.deepEqual(readAll(saved), readAll(from));
    saved.close();
    from.close();
  });

  it("is a model with its tokenizer", async () => {
    await using a = await BERT.load(FOLDER);
    await using b = await BERT.load(bertFolder("pretraining"));
    const text = "the cat sat on [MASK] mat";
    assert.deepEqual(await a.fillMask(text), await b.fillMask(text));
    assert.equal(await a.nextSentence("a cat", "on the mat"), await b.nextSentence("a cat", "on the mat"));
  });
});
