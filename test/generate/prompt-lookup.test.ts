import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { WEIGHT_TYPES } from "../../src/dtype/dtype.js";
import type { Extension } from "../../src/generate/chunks.js";
import { Engine, type RowReader } from "../../src/generate/engine.js";
import { generateTokens } from "../../src/generate/generate.js";
import { type GenerateOptions, generateSettings } from "../../src/generate/options.js";
import { PromptLookup } from "../../src/generate/prompt-lookup.js";
import { Scheduler } from "../../src/generate/scheduler.js";
import { LIKE_OTHERS, THREADS, testedIsas } from "../helpers/tested-isas.js";
import {
  BYTES,
  byteModel,
  byteModelIn,
  byteTokenizer,
  ODD,
  recitingTensors,
  seededWeights,
  testedBackends,
} from "./models.js";

function lookup(text: string, longest = 7): PromptLookup {
  const result = new PromptLookup(BYTES, longest);
  for (const id of byteTokenizer().encode(text)) result.push(id);
  return result;
}
const text = (ids: readonly number[]) => byteTokenizer().decode(ids);

describe("PromptLookup", () => {
  it("continues from the newest earlier occurrence of the last tokens", () => {
    assert.equal(text(lookup("one two. one six. on").draft(4)), "e si");
    assert.equal(text(lookup("abcX bcY abc").draft(2)), "X ", "three tokens say more than two");
    assert.equal(text(lookup("bcY abc").draft(2)), "Y ");
  });

  it("repeats a short period", () => assert.equal(text(lookup("xabab").draft(5)), "ababa"));

  it("drafts nothing for new text, and no more than is requested", () => {
    assert.deepEqual(lookup("abcdef").draft(5), []);
    assert.deepEqual(lookup("").draft(5), []);
    assert.deepEqual(lookup("a").draft(5), []);
    assert.deepEqual(lookup("abab").draft(0), []);
    assert.deepEqual(lookup("abab").draft(-1), []);
  });

  it("drafts more after accepted drafts, and less after rejected ones", () => {
    const guess = lookup("abcdefghij abcdefghij a b abc");
    assert.equal(guess.draft(9).length, 7);
    guess.learn(0);
    assert.equal(guess.draft(9).length, 1);
    guess.learn(1);
    assert.equal(guess.draft(9).length, 3);
    guess.learn(3);
    assert.equal(guess.draft(9).length, 7);
  });
});

/** Counts the runs of a generation. */
class CountingEngine extends Engine {
  runs = 0;
  override run(extensions: readonly Extension[], reader: RowReader, signal?: AbortSignal): Promise<void> {
    this.runs++;
    return super.run(extensions, reader, signal);
  }
}

for (const backend of await testedBackends()) {
  describe(`generating with prompt lookup on ${backend.name}`, () => {
    const cases: [string, GenerateOptions][] = [
      ["greedily, past the context", { temperature: 0, maxNewTokens: 60, stopAtEndOfText: false }],
      ["at low temperature", { temperature: 0.2, seed: 5, maxNewTokens: 40 }],
      [
        "several samples with a penalty",
        { temperature: 0.3, repetitionPenalty: 1.1, seed: 2, samples: 3, maxNewTokens: 40 },
      ],
      ["with a stop string", { temperature: 0, stop: "\u0001", maxNewTokens: 40 }],
      ["until the context is full", { temperature: 0, overflow: "stop", stopAtEndOfText: false, maxNewTokens: 60 }],
    ];
    for (const [name, options] of cases) {
      it(`changes nothing: ${name}`, async () => {
        const model = byteModel(backend, ODD, 4);
        const plain = await model.completions("abcabcab", options);
        for (const promptLookup of [1, 7, 30]) {
          const got = await model.completions("abcabcab", { ...options, promptLookup });
          for (const [i, sample] of got.entries()) {
            assert.deepEqual(sample.tokens, plain[i]!.tokens);
            assert.equal(sample.text, plain[i]!.text);
            assert.equal(sample.finishReason, plain[i]!.finishReason);
            for (const [j, logprob] of sample.logprobs.entries()) {
              assert.ok(Math.abs(logprob - plain[i]!.logprobs[j]!) < 1e-4);
            }
          }
        }
      });
    }

    it("takes far fewer runs where the text repeats itself", { skip: LIKE_OTHERS }, async () => {
      const script = byteTokenizer().encode("All work and no play. ".repeat(8));
      const { config, tensors } = recitingTensors([...script]);
      const weights = seededWeights(backend, config);
      for (const { name, data } of tensors) weights.get(name)!.write(data);
      const model = (engine: Engine) => ({
        scheduler: new Scheduler(engine),
        vocabLimit: BYTES,
        endOfText: undefined,
        eosTokenIds: [],
        text: undefined,
      });
      const runs: number[] = [];
      for (const promptLookup of [0, 7]) {
        const engine = new CountingEngine(backend, gpt2Config(config), weights);
        const settings = generateSettings({ temperature: 0, maxNewTokens: 120, promptLookup });
        const got: number[] = [];
        for await (const { token } of generateTokens(model(engine), [65], settings)) got.push(token);
        assert.deepEqual(got, [...script].slice(0, 120));
        runs.push(engine.runs);
        await engine.dispose();
      }
      assert.equal(runs[0], 120);
      assert.ok(runs[1]! < 50, `${runs[1]} runs`);
    });
  });
}

for (const isa of testedIsas()) {
  const backend = await nativeBackend({ isa, threads: THREADS });

  describe(`prompt lookup on native ${isa}`, () => {
    // Rows of nine blocks and of five, so that groups of eight have a rest; more keys than are gone over at a time.
    const config = gpt2Config({ vocabSize: BYTES, nCtx: 300, nEmbd: 288, nHead: 9, nLayer: 2, nInner: 160 });
    const prompt = "To be, or not to be, that is the question: ".repeat(5);

    for (const dtype of WEIGHT_TYPES) {
      const skip = dtype === "f32" || dtype === "q4_0" ? false : LIKE_OTHERS;
      it(`up to seven draft tokens change no bit, weights in ${dtype}`, { skip }, async () => {
        const model = await byteModelIn(dtype, backend, config, 3);
        const settings = { seed: 4, temperature: 0.1, topK: 2, maxNewTokens: 80, stopAtEndOfText: false };
        const plain = await model.complete(prompt, settings);
        for (const promptLookup of [2, 7]) {
          const got = await model.complete(prompt, { ...settings, promptLookup });
          assert.deepEqual(got.tokens, plain.tokens);
          assert.deepEqual(got.logprobs, plain.logprobs);
        }
      });
    }
  });
}
