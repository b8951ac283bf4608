import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { ModelConfig } from "../../src/architectures/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { ContextLengthError, GPT2Error, UsageError } from "../../src/errors.js";
import { Engine, type EngineOptions, type Sequence } from "../../src/generate/engine.js";
import { assertClose } from "../helpers/compare.js";
import { gpt2OddFixture } from "../helpers/gpt2-fixtures.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { fullForward, logSoftmax } from "./full-forward.js";
import { NEO, ODD, ONE_HEAD, seededWeights, testedBackends } from "./models.js";

/** Logits in single precision against double: a few layers' roundings, relative to the largest logit. */
const TOLERANCE = { relative: 2e-6 };
const SEED = 1;

const randomIds = (config: ModelConfig, length: number, seed = 1): number[] => [
  ...new RandomArrays(seed).integers(length, config.vocabSize),
];

/** Adds tokens to a sequence and returns the logits of the last `logits` of them, a copy of each row. */
async function extend(sequence: Sequence, tokens: readonly number[], logits = 1): Promise<number[][]> {
  const rows: number[][] = [];
  await sequence.engine.extend([{ sequence, tokens, logits }], (row) => rows.push([...row]));
  return rows;
}

for (const backend of await testedBackends()) {
  for (const [name, config] of Object.entries({ "3 heads of 5": ODD, "1 head of 17": ONE_HEAD, "a GPT-Neo": NEO })) {
    describe(`cached decoding on ${backend.name}, ${name}`, () => decodingTests(backend, config));
  }
  describe(`engine on ${backend.name}`, () => engineTests(backend));
}

function decodingTests(backend: Backend, config: ModelConfig): void {
  const { nCtx, vocabSize: V } = config;
  const ids = randomIds(config, nCtx);
  let expected: Float64Array;
  const row = (t: number) => expected.subarray(t * V, (t + 1) * V);
  const engine = (options?: EngineOptions) =>
    new Engine(backend, config, seededWeights(backend, config, SEED), options);
  before(async () => {
    expected = await fullForward(config, SEED, ids);
  });

  it("equals the full forward at every step, from one token to the whole context", async () => {
    const sequence = engine().sequence();
    for (const [t, id] of ids.entries()) {
      const [logits] = await extend(sequence, [id]);
      assertClose(`step ${t}`, logits!, row(t), TOLERANCE);
    }
    assert.equal(sequence.length, nCtx);
  });

  it("equals it after a prompt of every length", async () => {
    const e = engine();
    for (let length = 1; length <= nCtx; length++) {
      const sequence = e.sequence();
      const [logits] = await extend(sequence, ids.slice(0, length));
      assertClose(`prompt of ${length}`, logits!, row(length - 1), TOLERANCE);
      sequence.release();
    }
  });

  it("equals it however the prompt is cut into runs", async () => {
    for (const maxTokens of [1, 2, 4, 5, nCtx - 1, nCtx]) {
      const rows = await extend(engine({ maxTokens }).sequence(), ids, nCtx);
      assertClose(`runs of ${maxTokens}`, rows.flat(), expected, TOLERANCE, [nCtx, V]);
    }
  });

  it("gives the probability of the next token", async () => {
    for (const maxTokens of [3, 64]) {
      const e = engine({ maxTokens });
      const logprobs = await e.logprobs(e.sequence(), ids.slice(0, -1), ids.slice(3));
      const want = ids.slice(3).map((id, i) => logSoftmax(row(i + 2))[id]!);
      assertClose("log-probabilities", logprobs, want, TOLERANCE);
    }
  });
}

function engineTests(backend: Backend): void {
  const config = ODD;
  const V = config.vocabSize;
  const engine = (options?: EngineOptions) =>
    new Engine(backend, config, seededWeights(backend, config, SEED), options);

  it("runs several sequences at once as it runs each alone", async () => {
    const texts = [4, 1, 21, 7, 13].map((length, i) => randomIds(config, length, i + 2));
    const wanted = await Promise.all(texts.map((ids) => fullForward(config, SEED, ids)));
    for (const maxTokens of [5, 64]) {
      const e = engine({ maxTokens });
      const sequences = texts.map(() => e.sequence());
      // All but the last token of each together, then all the last tokens.
      const heads = texts.map((ids, i) => ({ sequence: sequences[i]!, tokens: ids.slice(0, -1), logits: 0 }));
      await e.extend(heads.filter(({ tokens }) => tokens.length > 0));
      const rows: number[][] = [];
      const tails = texts.map((ids, i) => ({ sequence: sequences[i]!, tokens: ids.slice(-1) }));
      await e.extend(tails, (row, i, token) => {
        assert.equal(token, 0);
        rows[i] = [...row];
      });
      for (const [i, logits] of rows.entries()) {
        assertClose(`sequence ${i}`, logits, wanted[i]!.subarray(-V), TOLERANCE);
      }
    }
  });

  it("gives the probabilities of several sequences at once, and their logits in passing", async () => {
    const texts = [9, 2, 21, 5].map((length, i) => randomIds(config, length + 1, i + 2));
    const wanted = await Promise.all(texts.map((ids) => fullForward(config, SEED, ids.slice(0, -1))));
    // Each sequence has some earlier tokens, and some of its new tokens have no target.
    const before = [3, 0, 12, 4];
    const counts = [4, 2, 7, 0];
    for (const maxTokens of [3, 64]) {
      const e = engine({ maxTokens });
      const parts = texts.map((ids, i) => ({ sequence: e.sequence(), tokens: ids.slice(0, before[i]), logits: 0 }));
      await e.extend(parts);
      const scored = texts.map((ids, i) => ({
        sequence: parts[i]!.sequence,
        tokens: ids.slice(before[i], -1),
        targets: counts[i] === 0 ? [] : ids.slice(-counts[i]!),
      }));
      const rows: string[] = [];
      const results = await e.score(scored, {
        onLogits: (row, extension, token) => {
          rows.push(`${extension}:${token}`);
          const t = before[extension]! + token;
          assertClose(`logits ${rows.at(-1)}`, row, wanted[extension]!.subarray(t * V, (t + 1) * V), TOLERANCE);
        },
      });
      assert.deepEqual(rows.length, 4 + 2 + 7);
      for (const [i, logprobs] of results.entries()) {
        const first = texts[i]!.length - 1 - counts[i]!;
        const want = scored[i]!.targets.map((id, k) => {
          return logSoftmax(wanted[i]!.subarray((first + k) * V, (first + k + 1) * V))[id]!;
        });
        assertClose(`sequence ${i}, runs of ${maxTokens}`, logprobs, want, TOLERANCE);
      }
    }
  });

  it("computes the same as transformers", async () => {
    const { config, seed, batch, length, inputs, targets, logits, loss } = gpt2OddFixture();
    const e = new Engine(backend, config, seededWeights(backend, config, seed), { maxTokens: 10 });
    const parts = Array.from({ length: batch }, (_, b) => {
      return { sequence: e.sequence(), tokens: inputs.subarray(b * length, (b + 1) * length), logits: length };
    });
    const rows: number[][] = [];
    await e.extend(parts, (row) => rows.push([...row]));
    assertClose("logits", rows.flat(), logits, TOLERANCE, [batch, length, config.vocabSize]);
    let sum = 0;
    for (const [b, { sequence, tokens }] of parts.entries()) {
      sequence.truncate(0);
      const logprobs = await e.logprobs(sequence, tokens, targets.subarray(b * length, (b + 1) * length));
      sum -= logprobs.reduce((total, x) => total + x, 0);
    }
    assertClose("loss", [sum / (batch * length)], [loss], TOLERANCE);
  });

  it("says to which token of which sequence a row belongs", async () => {
    const e = engine({ maxTokens: 3 });
    const seen: string[] = [];
    const parts = [
      [4, 2],
      [1, 1],
      [2, 0],
      [3, 3],
    ].map(([length, logits]) => ({ sequence: e.sequence(), tokens: randomIds(config, length!), logits: logits! }));
    await e.extend(parts, (_, extension, token) => seen.push(`${extension}:${token}`));
    assert.deepEqual(seen, ["0:2", "0:3", "1:0", "3:0", "3:1", "3:2"]);
  });

  it("keeps the contents of sequences when its capacity grows", async () => {
    const ids = randomIds(config, 9);
    const e = engine();
    const sequence = e.sequence();
    await extend(sequence, ids.slice(0, 5));
    for (const other of [e.sequence(), e.sequence(), e.sequence()]) await extend(other, randomIds(config, 21, 5));
    const [logits] = await extend(sequence, ids.slice(5));
    assertClose("logits", logits!, (await fullForward(config, SEED, ids)).subarray(-V), TOLERANCE);
  });

  it("forks a sequence", async () => {
    const prompt = randomIds(config, 11);
    const e = engine({ maxTokens: 4 });
    const source = e.sequence();
    await extend(source, prompt);
    const copies = await e.fork(source, 3);
    for (const [i, sequence] of [source, ...copies].entries()) {
      const [logits] = await extend(sequence, [i, i + 1]);
      const want = (await fullForward(config, SEED, [...prompt, i, i + 1])).subarray(-V);
      assertClose(`copy ${i}`, logits!, want, TOLERANCE);
    }
  });

  it("forgets truncated tokens, and reuses released slots", async () => {
    const ids = randomIds(config, 8);
    const e = engine();
    const sequence = e.sequence();
    await extend(sequence, [...ids.slice(0, 3), 1, 2, 3]);
    sequence.truncate(3);
    const [logits] = await extend(sequence, ids.slice(3));
    const want = (await fullForward(config, SEED, ids)).subarray(-V);
    assertClose("after truncating", logits!, want, TOLERANCE);
    sequence.release();
    await assert.rejects(extend(sequence, [1]), /an open sequence/);
    const again = e.sequence();
    assert.equal(again.slot, 0);
    assertClose("in an old place", (await extend(again, ids))[0]!, want, TOLERANCE);
    assert.throws(() => again.truncate(9), UsageError);
  });

  it("takes overlapping calls one after another", async () => {
    const e = engine({ maxTokens: 2 });
    const texts = [3, 4, 5].map((length) => randomIds(config, length, length));
    const results = await Promise.all(texts.map((ids) => extend(e.sequence(), ids)));
    for (const [i, ids] of texts.entries()) {
      assertClose(`call ${i}`, results[i]![0]!, (await fullForward(config, SEED, ids)).subarray(-V), TOLERANCE);
    }
  });

  it("refuses ids outside the vocabulary, naming the first, and leaves the sequence unchanged", async () => {
    const sequence = engine().sequence();
    for (const id of [-1, V, 1.5, Number.NaN, 2 ** 31]) {
      await assert.rejects(extend(sequence, [1, 2, id, -7]), (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, `tokens[2]: expected a token id from 0 to ${V - 1}, got ${id}`);
        return true;
      });
    }
    await assert.rejects(sequence.engine.logprobs(sequence, [1], [V]), /targets\[0\]/);
    assert.equal(sequence.length, 0);
  });

  it("refuses more tokens than the context, more logits than tokens, and a repeated sequence", async () => {
    const e = engine();
    const sequence = e.sequence();
    await extend(sequence, randomIds(config, 20));
    await assert.rejects(extend(sequence, [1, 2]), ContextLengthError);
    await assert.rejects(extend(sequence, [1], 2), UsageError);
    await assert.rejects(extend(sequence, [1], -1), UsageError);
    const tokens = [1];
    await assert.rejects(e.extend([sequence, sequence].map((s) => ({ sequence: s, tokens }))), /each sequence once/);
    await assert.rejects(engine().extend([{ sequence, tokens }]), /an open sequence/);
  });

  it("stops between runs when aborted, and continues with other work", async () => {
    const e = engine({ maxTokens: 1 });
    const controller = new AbortController();
    const sequence = e.sequence();
    let rows = 0;
    const run = e.extend(
      [{ sequence, tokens: randomIds(config, 21), logits: 21 }],
      () => {
        if (++rows === 3) controller.abort();
      },
      controller.signal,
    );
    await assert.rejects(run, { name: "AbortError" });
    sequence.release();
    const ids = randomIds(config, 6);
    const [logits] = await extend(e.sequence(), ids);
    assertClose("afterwards", logits!, (await fullForward(config, SEED, ids)).subarray(-V), TOLERANCE);
    assert.equal(rows, 3);
  });

  it("does nothing once disposed of", async () => {
    const e = engine();
    const sequence = e.sequence();
    const running = extend(sequence, [1, 2]);
    await e.dispose();
    await running;
    await assert.rejects(extend(sequence, [3]), GPT2Error);
  });
}
