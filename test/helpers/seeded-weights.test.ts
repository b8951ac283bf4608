import assert from "node:assert/strict";
import { test } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { parameterCount } from "../../src/architectures/registry.js";
import { gpt2_124mFixture, gpt2OddFixture } from "./gpt2-fixtures.js";
import { checksum, seededTensors, seededTokens } from "./seeded-weights.js";
import { TESTING_ALL } from "./tested-isas.js";

function checksums(config: GPT2Config, seed: number): Record<string, string> {
  return Object.fromEntries(Array.from(seededTensors(config, seed), ([spec, values]) => [spec.name, checksum(values)]));
}

test("the seeded weights are numpy's, bit for bit: 124M shape", { skip: !TESTING_ALL && "takes seconds" }, () => {
  const { config, seed, parameters, checksums: expected } = gpt2_124mFixture();
  assert.deepEqual(config, gpt2Config("gpt2"));
  assert.equal(parameters, parameterCount(config));
  assert.deepEqual(checksums(config, seed), expected);
});

test("the seeded weights are numpy's, bit for bit: odd sizes, a seed above 2^32", () => {
  const fixture = gpt2OddFixture();
  assert.deepEqual(checksums(fixture.config, fixture.seed), fixture.checksums);
  assert.equal(fixture.gradients.length, parameterCount(fixture.config));
});

test("the seeded tokens are numpy's", () => {
  const { config, seed, short } = gpt2_124mFixture();
  assert.deepEqual([...seededTokens(config, seed, 1001, 65)], short.ids);
  const odd = gpt2OddFixture();
  const ids = seededTokens(odd.config, odd.seed, 1001, odd.batch * (odd.length + 1));
  for (let b = 0; b < odd.batch; b++) {
    const row = ids.subarray(b * (odd.length + 1), (b + 1) * (odd.length + 1));
    assert.deepEqual(odd.inputs.subarray(b * odd.length, (b + 1) * odd.length), row.subarray(0, -1));
    assert.deepEqual(odd.targets.subarray(b * odd.length, (b + 1) * odd.length), row.subarray(1));
  }
});

test("the odd fixture's own numbers agree: loss from its logits, norm from its gradients", () => {
  const { batch, length, config, logits, targets, loss, gradients, gradientNorm } = gpt2OddFixture();
  const V = config.vocabSize;
  let sum = 0;
  for (let i = 0; i < batch * length; i++) {
    const row = logits.subarray(i * V, (i + 1) * V);
    sum += Math.log(row.reduce((s, x) => s + Math.exp(x), 0)) - row[targets[i]!]!;
  }
  assert.ok(Math.abs(sum / (batch * length) - loss) < 1e-6);
  assert.ok(Math.abs(Math.hypot(...gradients) - gradientNorm) < 1e-6);
});
