import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { UsageError } from "../../src/errors.js";
import { Sampler } from "../../src/generate/sampler.js";
import { moreSampling } from "../../src/generate/sampling/options.js";
import type { TextOptions } from "../../src/gpt2/options.js";
import { GPT2 } from "../../src/gpt2.js";
import { samplingSettings } from "../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../src/util/random.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { logSoftmax } from "./full-forward.js";
import { byteModel, byteTokenizer, fastestBackend, ODD, ONE_HEAD, seededWeights, testedBackends } from "./models.js";

/** Smaller than ODD, with a shorter context. */
const SMALL: GPT2Config = gpt2Config({ ...ODD, nCtx: 13, nEmbd: 9, nLayer: 1, nInner: 11 });

const withDraft = (backend: Backend) => ({ model: byteModel(backend), draft: byteModel(backend, SMALL, 2) });

for (const backend of await testedBackends()) {
  describe(`generating with a draft model on ${backend.name}`, () => {
    const cases: [string, TextOptions][] = [
      ["greedily, past both contexts", { temperature: 0, maxNewTokens: 60, stopAtEndOfText: false }],
      [
        "greedily, with penalties",
        {
          temperature: 0,
          repetitionPenalty: 1.4,
          presencePenalty: 0.5,
          frequencyPenalty: 0.2,
          dryMultiplier: 0.8,
          maxNewTokens: 18,
        },
      ],
      ["several samples", { temperature: 0, samples: 3, maxNewTokens: 20 }],
      [
        "with a watermark",
        {
          temperature: 1,
          topK: 0,
          seed: 4,
          maxNewTokens: 20,
          stopAtEndOfText: false,
          watermark: { scheme: "gumbel", key: "k" },
        },
      ],
      ["until the context is full", { temperature: 0, overflow: "stop", stopAtEndOfText: false, maxNewTokens: 60 }],
    ];
    for (const [name, options] of cases) {
      it(`gives the same tokens as without: ${name}`, async () => {
        const { model, draft } = withDraft(backend);
        for (const draftTokens of [1, 4, 7]) {
          const plain = await model.completions("abcab", options);
          const drafted = await model.completions("abcab", { ...options, draft, draftTokens });
          for (const [i, { drafts, ...rest }] of drafted.entries()) {
            assert.deepEqual(rest, plain[i]);
            assert.ok(drafts!.proposed > 0 && drafts!.accepted <= drafts!.proposed);
          }
        }
      });
    }

    it("accepts all proposals of a draft model with the same weights, greedily and sampled", async () => {
      const model = byteModel(backend);
      for (const options of [{ temperature: 0 }, { temperature: 0.9, topK: 20, seed: 3, repetitionPenalty: 1.2 }]) {
        const draft = byteModel(backend);
        const { drafts, tokens } = await model.complete("abc", {
          ...options,
          draft,
          maxNewTokens: 17,
          stopAtEndOfText: false,
        });
        assert.equal(tokens.length, 17);
        assert.ok(drafts!.proposed >= 12);
        assert.equal(drafts!.accepted, drafts!.proposed);
      }
    });

    it("gives the same bits alone and among others, sampled by any settings", { skip: LIKE_OTHERS }, async () => {
      const settings: TextOptions[] = [
        { temperature: 1, topK: 0 },
        { temperature: 0.7, topK: 30, topP: 0.9, minP: 0.02 },
        { temperature: 1, typicalP: 0.8, topK: 0 },
        { temperature: 1, mirostatTau: 3, topK: 0 },
        { temperature: 1, topK: 0, xtcProbability: 0.5, xtcThreshold: 0.05 },
        { temperature: 1, topK: 0, stop: "e", badWords: [[3]], minNewTokens: 4 },
      ];
      const { model, draft } = withDraft(backend);
      const options = (i: number): TextOptions => ({
        ...settings[i]!,
        seed: 10 + i,
        maxNewTokens: 25,
        draft,
        draftTokens: 3,
      });
      const alone = [];
      for (let i = 0; i < settings.length; i++) {
        const fresh = withDraft(backend);
        alone.push(await fresh.model.complete("Once upon", { ...options(i), draft: fresh.draft }));
      }
      const together = await Promise.all(settings.map((_, i) => model.complete("Once upon", options(i))));
      assert.deepEqual(together, alone);
    });

    it("drafts beside constraints, and forgets abandoned texts", async () => {
      const { model, draft } = withDraft(backend);
      const constraint = { choices: ["yes it is", "no it is not"] };
      const { text } = await model.complete("ab", { constraint, draft, seed: 1 });
      assert.ok(constraint.choices.includes(text));
      const stop = new AbortController();
      const running = model.complete("ab", { draft, maxNewTokens: 500, signal: stop.signal });
      setTimeout(() => stop.abort(), 20);
      await assert.rejects(running, /abort/i);
      assert.equal((await model.complete("ab", { draft, maxNewTokens: 5, stopAtEndOfText: false })).tokens.length, 5);
    });
  });
}

/** Whether counts fit a distribution: a chi-square statistic within five of its standard deviations. */
function assertDistributed(counts: readonly number[], probabilities: readonly number[], about: string): void {
  const total = counts.reduce((a, b) => a + b, 0);
  let statistic = 0;
  let cells = 0;
  for (const [i, p] of probabilities.entries()) {
    if (p === 0) assert.equal(counts[i], 0, `${about}: ${i} is impossible`);
    if (total * p < 5) continue;
    statistic += (counts[i]! - total * p) ** 2 / (total * p);
    cells++;
  }
  assert.ok(statistic < cells + 5 * Math.sqrt(2 * cells), `${about}: chi-square ${statistic} of ${cells} cells`);
}

/**
 * Whether two samples of equal size come from one distribution: a chi-square statistic within five of its standard
 * deviations.
 */
function assertAlike(a: readonly number[], b: readonly number[], about: string): void {
  const cells = a.map((count, i) => [count, b[i]!] as const).filter(([x, y]) => x + y > 0);
  const statistic = cells.reduce((sum, [x, y]) => sum + (x - y) ** 2 / (x + y), 0);
  assert.ok(
    statistic < cells.length + 5 * Math.sqrt(2 * cells.length),
    `${about}: chi-square ${statistic}, ${cells.length} cells`,
  );
}

describe("the rejection rule", () => {
  const V = 12;
  const row = (seed: number, scale: number): Float32Array => {
    const random = new RandomStream(seed);
    return Float32Array.from({ length: V }, () => scale * random.normal());
  };

  it("gives tokens the target's distribution, whatever the draft's", { skip: LIKE_OTHERS }, () => {
    const settings: [string, object][] = [
      ["plain", { temperature: 1, topK: 0 }],
      ["filtered", { temperature: 1.3, topK: 7, topP: 0.9, minP: 0.05 }],
      ["typical", { temperature: 1, topK: 0, typicalP: 0.7 }],
      ["penalized", { temperature: 1, topK: 0, repetitionPenalty: 1.5, frequencyPenalty: 0.4 }],
    ];
    const draws = 4000;
    for (const [name, options] of settings) {
      const [all, more] = [samplingSettings(options), moreSampling(options)];
      const make = (seed: number) => {
        const sampler = new Sampler(all, V, new RandomStream(seed), undefined, more);
        sampler.see([1, 2]);
        return sampler;
      };
      const p = row(1, 1.5);
      const plain = new Array<number>(V).fill(0);
      for (let seed = 0; seed < draws; seed++) plain[make(draws + seed).sample(p)]!++;
      for (const scale of [0, 1, 4]) {
        const counts = new Array<number>(V).fill(0);
        for (let seed = 0; seed < draws; seed++) {
          const sampler = make(seed);
          counts[sampler.verify(p, sampler.propose(row(2, scale), [], new RandomStream(seed, 1)))]!++;
        }
        assertAlike(counts, plain, `${name}, draft of scale ${scale}`);
      }
    }
  });

  it("gives whole texts the target's distribution", { skip: LIKE_OTHERS }, async () => {
    const backend = await fastestBackend();
    const make = (seed: number) =>
      new GPT2({ backend, config: ONE_HEAD, weights: seededWeights(backend, ONE_HEAD, seed) });
    const [model, draft] = [make(1), make(5)];
    const { vocabSize: V } = ONE_HEAD;
    const prompt = [2, 4];
    const probabilities: number[] = [];
    for (let a = 0; a < V; a++) {
      for (let b = 0; b < V; b++) {
        const logits = await model.logits([...prompt, a, b]);
        const rows = [1, 2, 3].map((t) => logSoftmax(Float64Array.from(logits.subarray(t * V, (t + 1) * V))));
        for (let c = 0; c < V; c++) probabilities.push(Math.exp(rows[0]![a]! + rows[1]![b]! + rows[2]![c]!));
      }
    }
    const options = { temperature: 1, topK: 0, maxNewTokens: 3, draft, draftTokens: 2 };
    const counts = new Array<number>(V ** 3).fill(0);
    let [proposed, accepted] = [0, 0];
    for (let seed = 0; seed < (TESTING_ALL ? 40 : 15); seed++) {
      for (const { tokens, drafts } of await model.completions(prompt, { ...options, samples: 100, seed })) {
        counts[(tokens[0]! * V + tokens[1]!) * V + tokens[2]!]!++;
        proposed += drafts?.proposed ?? 0;
        accepted += drafts?.accepted ?? 0;
      }
    }
    assertDistributed(counts, probabilities, "texts of three tokens");
    assert.ok(accepted > 0.1 * proposed && accepted < 0.9 * proposed, `${accepted} of ${proposed} accepted`);
  });
});

describe("a draft model that cannot draft", () => {
  it("is refused by name", async () => {
    const backend = await fastestBackend();
    const { model, draft } = withDraft(backend);
    const other = new GPT2({ backend, config: ONE_HEAD, weights: seededWeights(backend, ONE_HEAD) });
    const larger = byteTokenizer();
    assert.ok(larger.vocabSize > ONE_HEAD.vocabSize);
    for (const [options, message] of [
      [{ draft: other }, /draft: expected a model of 257 tokens, as this one, got one of 7/],
      [{ draft, draftTokens: 0 }, /draftTokens/],
      [{ draft, promptLookup: 3 }, /no promptLookup with it/],
    ] as const) {
      await assert.rejects(
        model.complete("ab", options),
        (error) => error instanceof UsageError && message.test(error.message),
      );
    }
  });
});
