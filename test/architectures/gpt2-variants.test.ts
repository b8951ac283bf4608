/** GPT-2s unlike OpenAI's, against Hugging Face transformers in float64 (test/fixtures/gpt2-variants/README.md). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { GPT2_HUGGING_FACE } from "../../src/architectures/gpt2/formats/huggingface.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { JsonObject } from "../../src/checkpoint/strict-json.js";
import { packageFile } from "../../src/util/package-root.js";
import { allBackends, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors, seededTokens } from "../helpers/seeded-weights.js";

interface Variants {
  readonly seed: number;
  readonly tokensLabel: number;
  readonly batch: number;
  readonly length: number;
  readonly variants: readonly {
    readonly name: string;
    readonly loss: number;
    readonly parameters: number;
    readonly config: JsonObject;
  }[];
}

const FOLDER = packageFile("test/fixtures/gpt2-variants");
const {
  seed,
  tokensLabel,
  batch: B,
  length: T,
  variants,
} = JSON.parse(readFileSync(`${FOLDER}/variants.json`, "utf8")) as Variants;
const values = new Float32Array(new Uint8Array(readFileSync(`${FOLDER}/values.bin`)).buffer);

/**
 * As in gpt2-odd.test.ts: the expected values were rounded to float32; the single-precision backends add their own
 * rounding, two to three times their largest difference, in parentheses, relative to the largest value of a tensor.
 */
const DOUBLE = { tensor: { relative: 6e-8 }, loss: { relative: 2e-13 } }; // gelu_fast's constant has ten digits: 9e-14
const SINGLE = { tensor: { relative: 1e-5 }, loss: { relative: 2.5e-7 } }; // 4.3e-6, 9.0e-8

let at = 0;
for (const { name, loss, parameters, config: json } of variants) {
  const config = GPT2_HUGGING_FACE.readConfig(json, "config.json");
  const [V, start] = [config.vocabSize, at];
  at += B * T * V + parameters;

  describe(`a GPT-2 with ${name}`, () => {
    for (const [backend, makeBackend] of allBackends()) {
      const tolerance = backend.endsWith("f64") ? DOUBLE : SINGLE;
      it(`gives every logit, the loss and every gradient of transformers, on ${backend}`, async () => {
        const model = new BoundModel(await makeBackend(), config, { B, T });
        for (const [spec, data] of seededTensors(config, seed)) model.setWeights([[spec.name, data]]);
        const ids = seededTokens(config, seed, tokensLabel, B * (T + 1));
        const rows = (from: number) =>
          Array.from({ length: B }, (_, b) => ids.subarray(b * (T + 1) + from)).flatMap((row) => [
            ...row.subarray(0, T),
          ]);
        model.setBatch(rows(0), rows(1));
        let next = start;
        const want = (count: number): Float32Array => values.subarray(next, (next += count));
        assertClose("logits", await model.logits(), want(B * T * V), tolerance.tensor, [B, T, V]);
        assertClose("loss", [mean(await model.train())], [loss], tolerance.loss);
        for (const { name, shape } of tensorTable(config)) {
          assertClose(`gradient of ${name}`, await model.gradient(name), want(numel(shape)), tolerance.tensor, shape);
        }
        assert.equal(next, start + B * T * V + parameters);
      });
    }

    it("preserves its configuration in config.json", () => {
      const again = GPT2_HUGGING_FACE.readConfig(GPT2_HUGGING_FACE.writeConfig(config), "config.json");
      assert.deepEqual(again, config);
    });
  });
}
