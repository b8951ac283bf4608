import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { DeviceArray } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { BackendError } from "../../src/errors.js";
import { Engine, type LogitsRow } from "../../src/generate/engine.js";
import { logSumExp } from "../../src/generate/log-sum-exp.js";
import { GPT2 } from "../../src/gpt2.js";
import { assertClose } from "../helpers/compare.js";
import { type FixtureSequence, gpt2_124mFixture } from "../helpers/gpt2-fixtures.js";
import { fillSeeded } from "../helpers/seeded-weights.js";

/**
 * Against transformers in float64. PyTorch in float32 is off by up to 1e-4 at logits of about 10 in size, and by 1e-6 in
 * the loss (fixture: largestLogitDifferenceFloat32, lossFloat32); another order of summing gets three times that.
 */
const LOGITS = { relative: 3e-5 };
const LOSS = 1e-5;

async function noNative(): Promise<string | false> {
  try {
    await nativeBackend({ threads: 1 });
    return false;
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

describe("a 124M-shaped model against transformers, on native", { skip: await noNative() }, () => {
  const { config, seed, short, long, greedy } = gpt2_124mFixture();
  let engine: Engine;
  let model: GPT2;

  before(async () => {
    const backend = await nativeBackend();
    const weights = new Map<string, DeviceArray>();
    for (const [index, spec] of tensorTable(config).entries()) {
      const array = backend.alloc("f32", numel(spec.shape));
      fillSeeded(array.host as Float32Array, spec, index, seed);
      weights.set(spec.name, array);
    }
    engine = new Engine(backend, config, weights);
    model = new GPT2({ backend, config, weights });
  });
  after(() => Promise.all([engine.dispose(), model.dispose()]));

  for (const [name, sequence] of Object.entries({ "64 tokens": short, "the whole context": long })) {
    it(`logits and loss over ${name}`, () => checkSequence(engine, sequence));
  }

  it("greedy decoding with the cache", async () => {
    const { tokens } = await model.complete(greedy.prompt, { temperature: 0, maxNewTokens: greedy.ids.length });
    assert.deepEqual(tokens, greedy.ids);
  });
});

async function checkSequence(engine: Engine, expected: FixtureSequence): Promise<void> {
  const { ids, positions, logprobPositions, logprobs, loss } = expected;
  const byPosition = new Map(positions.map((p) => [p.position, p]));
  const found: number[] = [];
  let compared = 0;
  const sequence = engine.sequence();
  await engine.extend([{ sequence, tokens: ids.slice(0, -1), logits: ids.length - 1 }], (row, _, token) => {
    found.push(row[ids[token + 1]!]! - logSumExp(row));
    const at = byPosition.get(token);
    if (!at) return;
    compared++;
    const got = at.ids.map((id) => row[id]!);
    assertClose(`logits at ${token}`, got, at.logits, LOGITS);
    assertClose(`mean and rms at ${token}`, meanAndRms(row), [at.mean, at.rms], LOGITS);
  });
  sequence.release();
  assert.equal(compared, positions.length);
  assertClose(
    "log-probabilities",
    logprobPositions.map((p) => found[p]!),
    logprobs,
    LOGITS,
  );
  const mean = -found.reduce((sum, x) => sum + x, 0) / found.length;
  assert.ok(Math.abs(mean - loss) < LOSS, `loss ${mean}, wanted ${loss}`);
}

function meanAndRms(row: LogitsRow): [number, number] {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < row.length; i++) {
    sum += row[i]!;
    squares += row[i]! ** 2;
  }
  return [sum / row.length, Math.sqrt(squares / row.length)];
}
