import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { readAll } from "./small-model.js";

describe("a folder sharded by transformers", () => {
  it("gives the values that transformers saved", async () => {
    const checkpoint = await openCheckpoint(packageFile("test/fixtures/hf-sharded"));
    const config = gpt2Config({ vocabSize: 19, nCtx: 7, nEmbd: 10, nLayer: 2, nHead: 2, nInner: 24 });
    assert.deepEqual(checkpoint.config, config);
    // SEED of scripts/python/make_sharded_fixture.py.
    const want = new Map([...seededTensors(config, 2718)].map(([{ name }, values]) => [name, values]));
    assert.deepEqual(readAll(checkpoint), want);
    assert.equal(checkpoint.files.length, 5);
    assert.deepEqual(checkpoint.eosTokenIds, [], "50256 is not among 19 tokens");
    checkpoint.close();
  });
});
