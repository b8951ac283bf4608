import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CheckpointError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { SAMPLING_DEFAULTS } from "../../src/pretrained/sampling-options.js";
import { randomTensors, SMALL } from "./small-model.js";

const root = mkdtempSync(join(tmpdir(), "gpt2-generation-config-"));
after(() => rmSync(root, { recursive: true }));
const folder = join(root, "model");
const file = join(folder, "generation_config.json");
const SAMPLING = { temperature: 0.5, minP: 0.1, repetitionPenalty: 1.2 };
const write = (json: unknown): void => writeFileSync(file, JSON.stringify(json));

const TOKENS = { bosTokenId: 10, eosTokenIds: [10] };

before(() =>
  saveCheckpoint(folder, { config: SMALL, tensors: randomTensors(SMALL, 1), sampling: SAMPLING, ...TOKENS }),
);

describe("generation_config.json", () => {
  it("is written with transformers' names, and read back", async () => {
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), {
      bos_token_id: 10,
      eos_token_id: 10,
      do_sample: true,
      temperature: 0.5,
      min_p: 0.1,
      repetition_penalty: 1.2,
    });
    const checkpoint = await openCheckpoint(folder);
    assert.deepEqual(checkpoint.sampling, SAMPLING);
    checkpoint.close();
  });

  it("gives the model's sampling defaults, which options override", async () => {
    const model = await GPT2.load(folder, { threads: 1 });
    assert.deepEqual(model.sampling, { ...SAMPLING_DEFAULTS, ...SAMPLING });
    const draw = async (options: object) =>
      (await model.complete([1, 2], { maxNewTokens: 40, seed: 3, stopAtEndOfText: false, ...options })).tokens;
    const own = await draw({});
    assert.deepEqual(own, await draw({ ...SAMPLING_DEFAULTS, ...SAMPLING }));
    assert.notDeepEqual(own, await draw(SAMPLING_DEFAULTS));
    // A given option replaces only the model's own value of it.
    assert.deepEqual(await draw({ topK: 1 }), await draw({ ...SAMPLING_DEFAULTS, ...SAMPLING, topK: 1 }));
    await model.dispose();
  });

  it("is copied when the model is converted", async () => {
    const to = join(root, "copy");
    await convertModel(folder, to, { dtype: "f16" });
    const { do_sample: sample, min_p: minP } = JSON.parse(readFileSync(join(to, "generation_config.json"), "utf8"));
    assert.deepEqual([sample, minP], [true, 0.1]);
  });

  it("counts only if it asks for sampling", async () => {
    for (const json of [{}, { temperature: 0.1 }, { do_sample: false, temperature: 0.1 }]) {
      write(json);
      const checkpoint = await openCheckpoint(folder);
      assert.equal(checkpoint.sampling, undefined);
      checkpoint.close();
    }
  });

  it("is refused by name when damaged", async () => {
    const refused = (expected: RegExp) => (error: unknown) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, /generation_config\.json/);
      assert.match(error.message, expected);
      return true;
    };
    write({ do_sample: true, top_k: "many" });
    await assert.rejects(openCheckpoint(folder), refused(/a number as top_k/));
    writeFileSync(file, "{");
    await assert.rejects(openCheckpoint(folder), refused(/not JSON/));
    write({ do_sample: true, temperature: -1 });
    await assert.rejects(GPT2.load(folder), refused(/temperature/));
  });
});
