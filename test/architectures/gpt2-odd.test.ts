/** A GPT-2 of awkward sizes against Hugging Face transformers in float64 (test/fixtures/gpt2-odd/README.md). */
import assert from "node:assert/strict";
import { it } from "node:test";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { allBackends, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { gpt2OddFixture } from "../helpers/gpt2-fixtures.js";
import { checksum, seededTensors } from "../helpers/seeded-weights.js";

/**
 * The expected values were rounded to float32; this is their only difference from the reference in double precision.
 * The single-precision backends add their own rounding, through three layers whose attention is sharp; two to three
 * times their largest difference, in parentheses, relative to the largest value of a tensor.
 */
const DOUBLE = {
  logits: { relative: 6e-8 },
  gradient: { relative: 6e-8 },
  loss: { relative: 1e-14 },
  norm: { relative: 1e-14 },
};
const SINGLE = {
  logits: { relative: 6e-6 }, // 2.8e-6; the reference 4.6e-7
  gradient: { relative: 1.2e-5 }, // 5.3e-6
  loss: { relative: 1.5e-7 }, // 4.6e-8
  norm: { relative: 1.5e-6 }, // 6.8e-7
};

for (const [name, makeBackend] of allBackends()) {
  const tolerance = name.endsWith("f64") ? DOUBLE : SINGLE;
  it(`gives every logit, the loss and every gradient of transformers, on ${name}`, async () => {
    const { config, seed, batch: B, length: T, checksums, ...want } = gpt2OddFixture();
    const model = new BoundModel(await makeBackend(), config, { B, T });
    for (const [spec, values] of seededTensors(config, seed)) {
      assert.equal(checksum(values), checksums[spec.name], `weights of ${spec.name}`);
      model.setWeights([[spec.name, values]]);
    }
    model.setBatch(want.inputs, want.targets);
    assertClose("logits", await model.logits(), want.logits, tolerance.logits, [B, T, config.vocabSize]);
    assertClose("loss", [mean(await model.train())], [want.loss], tolerance.loss);
    let [at, squares] = [0, 0];
    for (const { name, shape } of tensorTable(config)) {
      const got = await model.gradient(name);
      assertClose(
        `gradient of ${name}`,
        got,
        want.gradients.subarray(at, at + numel(shape)),
        tolerance.gradient,
        shape,
      );
      at += numel(shape);
      for (const x of got) squares += x * x;
    }
    assert.equal(at, want.gradients.length);
    assertClose("gradient norm", [Math.sqrt(squares)], [want.gradientNorm], tolerance.norm);
  });
}
