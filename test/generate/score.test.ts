import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextLengthError, UsageError } from "../../src/errors.js";
import { scoringWindows } from "../../src/generate/score.js";
import { assertClose } from "../helpers/compare.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { fullForward, logSoftmax } from "./full-forward.js";
import { byteModel, byteTokenizer, END_OF_TEXT_ID, fastestBackend, ODD, testedBackends } from "./models.js";

const { nCtx, vocabSize: V } = ODD;
const TOLERANCE = { relative: 2e-6 };
const randomIds = (length: number, seed = 1) => [...new RandomArrays(seed).integers(length, V)];

/** Log-probability of each token of a text after the first, by one forward over all of it. */
async function plainLogprobs(ids: readonly number[]): Promise<number[]> {
  const logits = await fullForward(ODD, 1, ids.slice(0, -1));
  return ids.slice(1).map((id, t) => logSoftmax(logits.subarray(t * V, (t + 1) * V))[id]!);
}

for (const backend of await testedBackends()) {
  describe(`scoring on ${backend.name}`, () => {
    it("gives the log-probability of every token, the first after <|endoftext|>", async () => {
      const model = byteModel(backend);
      for (const text of ["A", "To be, or", "exactly 21 characters"]) {
        const { tokens, logprobs } = await model.score(text);
        assert.deepEqual(tokens, [...byteTokenizer().encode(text)]);
        assertClose(text, logprobs, await plainLogprobs([END_OF_TEXT_ID, ...tokens]), TOLERANCE);
      }
    });

    it("scores texts longer than the context in windows", async () => {
      const model = byteModel(backend);
      const ids = randomIds(60);
      for (const stride of [1, 5, 10, nCtx]) {
        const { logprobs } = await model.score(ids, { stride });
        const all = [END_OF_TEXT_ID, ...ids];
        for (const { start, from, end } of scoringWindows(all.length, 1, nCtx, stride)) {
          const expected = (await plainLogprobs(all.slice(start, end))).slice(from - start - 1);
          assertClose(`stride ${stride}, from ${from}`, logprobs.subarray(from - 1, end - 1), expected, TOLERANCE);
        }
      }
    });

    it("gives logits [T, V], for one token and a whole context", async () => {
      for (const T of [1, 2, nCtx]) {
        const ids = randomIds(T);
        const logits = await byteModel(backend).logits(ids);
        assertClose(`T = ${T}`, logits, await fullForward(ODD, 1, ids), TOLERANCE, [T, V]);
      }
    });
  });
}

const model = byteModel(await fastestBackend());

describe("scores", () => {
  it("are summarized: log-probability, perplexity, bits per byte", async () => {
    const text = "naïve €";
    const { tokens, logprobs, logprob, perplexity, bytes, bitsPerByte } = await model.score(text);
    const logits = await model.logits([END_OF_TEXT_ID, ...tokens.slice(0, -1)]);
    const wanted = tokens.map((id, t) => logSoftmax(logits.subarray(t * V, (t + 1) * V))[id]!);
    assertClose("against logits", logprobs, wanted, TOLERANCE);
    const sum = wanted.reduce((a, b) => a + b);
    assert.ok(Math.abs(logprob - sum) < 1e-4);
    assert.ok(Math.abs(Math.log(perplexity) + sum / tokens.length) < 1e-5);
    assert.equal(bytes, 10, "UTF-8: ï is two bytes, € three");
    assert.ok(Math.abs(bitsPerByte! + sum / Math.log(2) / 10) < 1e-5);
  });

  it("continue a context, which may be longer than the model's", async () => {
    const [context, ids] = [randomIds(9, 4), randomIds(8, 5)];
    const { logprobs, tokens } = await model.score(ids, { context });
    assert.deepEqual(tokens, ids);
    assertClose("after ids", logprobs, (await plainLogprobs([...context, ...ids])).slice(8), TOLERANCE);
    const text = await model.score("ab", { context: "xyz" });
    const all = [...byteTokenizer().encode("xyzab")];
    assertClose("after text", text.logprobs, (await plainLogprobs(all)).slice(2), TOLERANCE);
    const long = randomIds(50, 6);
    const after = await model.score(ids, { context: long });
    const last = [...long.slice(-14), ...ids];
    assertClose("after a long one", after.logprobs, (await plainLogprobs(last)).slice(13), TOLERANCE);
  });

  it("are refused for nothing, for invalid ids, and with an impossible stride", async () => {
    await assert.rejects(model.score(""), UsageError);
    await assert.rejects(model.score("a", { context: "" }), UsageError);
    await assert.rejects(model.score([1, V]), UsageError);
    for (const stride of [0, 1.5, nCtx + 1]) await assert.rejects(model.score("a", { stride }), UsageError);
    await assert.rejects(model.logits(randomIds(nCtx + 1)), ContextLengthError);
  });

  it("stop when aborted", async () => {
    await assert.rejects(model.score(randomIds(60), { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});

describe("scoring windows", () => {
  it("of a worked example: 10 tokens, context 4, stride 2", () => {
    assert.deepEqual(
      [...scoringWindows(10, 1, 4, 2)],
      [
        { start: 0, from: 1, end: 5 },
        { start: 2, from: 5, end: 7 },
        { start: 4, from: 7, end: 9 },
        { start: 5, from: 9, end: 10 },
      ],
    );
  });

  it("score every token once, read no more than the context, and give each token enough context", () => {
    for (let length = 1; length < 30; length++) {
      for (const from of [1, 2, 7]) {
        for (const nCtx of [1, 2, 5, 40]) {
          for (let stride = 1; stride <= nCtx; stride += 3) {
            let next = Math.min(from, length);
            for (const window of scoringWindows(length, from, nCtx, stride)) {
              assert.equal(window.from, next);
              assert.ok(window.end - 1 - window.start <= nCtx);
              assert.ok(window.from - window.start >= Math.min(from, nCtx - stride + 1, window.from));
              assert.ok(window.end > window.from);
              next = window.end;
            }
            assert.equal(next, Math.max(length, Math.min(from, length)));
          }
        }
      }
    }
  });
});
