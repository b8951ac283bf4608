import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { WEIGHT_TYPES } from "../../src/dtype/dtype.js";
import { UsageError } from "../../src/errors.js";
import type { BeamOptions } from "../../src/generate/beam/options.js";
import { GPT2 } from "../../src/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { logSoftmax } from "./full-forward.js";
import { backends, byteModel, byteModelIn, byteTokenizer, NEO, ODD, seededWeights, testedBackends } from "./models.js";

interface Case {
  readonly prompt: readonly number[];
  readonly settings: {
    readonly max_new_tokens: number;
    readonly num_beams: number;
    readonly num_return_sequences?: number;
    readonly length_penalty?: number;
    readonly early_stopping?: boolean | "never";
    readonly repetition_penalty?: number;
    readonly bad_words_ids?: number[][];
    readonly min_new_tokens?: number;
    readonly eos_token_id: number[];
  };
  readonly sequences: readonly (readonly number[])[];
  readonly scores: readonly number[];
}

const FIXTURE = JSON.parse(readFileSync(packageFile("test/fixtures/beam/cases.json"), "utf8")) as {
  readonly seed: number;
  readonly config: GPT2Config;
  readonly cases: readonly Case[];
};

function optionsOf({ settings }: Case): BeamOptions {
  return {
    beams: settings.num_beams,
    nBest: settings.num_return_sequences ?? 1,
    maxNewTokens: settings.max_new_tokens,
    lengthPenalty: settings.length_penalty ?? 1,
    earlyStopping: settings.early_stopping ?? false,
    repetitionPenalty: settings.repetition_penalty ?? 1,
    badWords: settings.bad_words_ids ?? [],
    minNewTokens: settings.min_new_tokens ?? 0,
  };
}

interface SlowOptions {
  readonly beams: number;
  readonly groups: number;
  readonly diversityPenalty: number;
  readonly maxNewTokens: number;
}

/**
 * Beam search of groups by its definition: each step is a forward pass over the whole text and a ranking of all tokens.
 */
async function slowDiverse(model: GPT2, prompt: readonly number[], options: SlowOptions) {
  const { beams, groups, diversityPenalty, maxNewTokens } = options;
  const size = beams / groups;
  const { vocabSize: V } = model.config;
  let state = Array.from({ length: groups }, () => [{ tokens: [] as number[], sum: 0 }]);
  for (let step = 0; step < maxNewTokens; step++) {
    const taken: number[] = [];
    const next: typeof state = [];
    for (const group of state) {
      const all: { tokens: number[]; sum: number; rank: number }[] = [];
      for (const { tokens, sum } of group) {
        const logits = await model.logits([...prompt, ...tokens]);
        const row = logSoftmax(Float64Array.from(logits.subarray(logits.length - V)));
        for (let id = 0; id < V; id++) {
          const times = taken.filter((other) => other === id).length;
          all.push({ tokens: [...tokens, id], sum: sum + row[id]!, rank: sum + row[id]! - diversityPenalty * times });
        }
      }
      const best = all.sort((a, b) => b.rank - a.rank).slice(0, size);
      taken.push(...best.map(({ tokens }) => tokens.at(-1)!));
      next.push(best);
    }
    state = next;
  }
  const ranked = state.map((group) => group.sort((a, b) => b.sum - a.sum));
  return Array.from({ length: size }, (_, i) => ranked.map((group) => group[i]!).sort((a, b) => b.sum - a.sum)).flat();
}

for (const backend of await testedBackends()) {
  describe(`beam search on ${backend.name}`, () => {
    it("finds the same as transformers, with its scores", async () => {
      const config = gpt2Config(FIXTURE.config);
      const weights = seededWeights(backend, config, FIXTURE.seed);
      const models = new Map<string, GPT2>();
      for (const each of FIXTURE.cases) {
        const eosTokenIds = each.settings.eos_token_id;
        const model = models.get(eosTokenIds.join()) ?? new GPT2({ backend, config, weights, eosTokenIds });
        models.set(eosTokenIds.join(), model);
        const found = await model.beamSearch(each.prompt, optionsOf(each));
        const about = JSON.stringify(each.settings);
        assert.deepEqual(
          found.map(({ tokens }) => tokens),
          each.sequences,
          about,
        );
        for (const [i, { score }] of found.entries()) {
          const expected = each.scores[i]!;
          assert.ok(
            Math.abs(score - expected) < 1e-4 * Math.max(1, Math.abs(expected)),
            `${about}: ${score} ${expected}`,
          );
        }
      }
    });

    it("reports each token's log-probability, why it ended, and its text", async () => {
      const model = byteModel(backend);
      const found = await model.beamSearch("ab", { beams: 4, nBest: 4, maxNewTokens: 6, stopAtEndOfText: false });
      assert.equal(found.length, 4);
      for (const { tokens, logprobs, score, text, finishReason } of found) {
        const scored = await model.score([...tokens], { context: "ab" });
        for (const [i, logprob] of logprobs.entries()) assert.ok(Math.abs(logprob - scored.logprobs[i]!) < 1e-4);
        const sum = logprobs.reduce((a, b) => a + b, 0);
        assert.ok(Math.abs(score - sum / 6) < 1e-9);
        assert.equal(finishReason, "length");
        assert.equal(text, byteTokenizer().decode(tokens));
      }
    });

    it("with groups follows the naive definition", async () => {
      const model = byteModel(backend);
      for (const diversityPenalty of [0.3, 2, 50]) {
        const options = { beams: 6, groups: 3, diversityPenalty, maxNewTokens: 4 };
        const found = await model.beamSearch([7, 8], { ...options, nBest: 6, stopAtEndOfText: false });
        const slow = await slowDiverse(model, [7, 8], options);
        assert.deepEqual(
          found.map(({ tokens }) => tokens),
          slow.map(({ tokens }) => tokens),
          `penalty ${diversityPenalty}`,
        );
        if (diversityPenalty < 50) continue;
        const firsts = found.slice(0, 3).map(({ tokens }) => tokens[0]);
        assert.equal(new Set(firsts).size, 3, "so high a penalty keeps groups apart");
      }
    });

    it("gives the same bits alone, beside other requests, and from the cache", async () => {
      const model = byteModel(backend);
      const options = { beams: 4, nBest: 4, maxNewTokens: 10 };
      const prompt = "A prompt longer";
      const alone = await byteModel(backend).beamSearch(prompt, options);
      const [among] = await Promise.all([
        model.beamSearch(prompt, options),
        model.completions("Others ", { samples: 3, maxNewTokens: 12, seed: 1 }),
        model.beamSearch("Others ", { beams: 7, maxNewTokens: 9 }),
      ]);
      assert.deepEqual(among, alone);
      assert.deepEqual(await model.beamSearch(prompt, options), alone);
    });

    it("ends before stop strings, and where the context ends", async () => {
      const model = byteModel(backend);
      const [free] = await model.beamSearch("ab", { maxNewTokens: 6, stopAtEndOfText: false });
      const stop = byteTokenizer().decode(free!.tokens.slice(2, 4));
      const found = await model.beamSearch("ab", { beams: 3, nBest: 3, maxNewTokens: 6, stop, earlyStopping: true });
      assert.ok(found.some(({ finishReason }) => finishReason === "stop"));
      for (const { text } of found) assert.ok(!text.includes(stop));
      const [full] = await model.beamSearch(new Array(ODD.nCtx - 2).fill(3), { stopAtEndOfText: false });
      assert.equal(full!.tokens.length, 3);
      assert.equal(full!.finishReason, "context");
    });

    it("works with sliding windows", async () => {
      const model = byteModel(backend, NEO);
      const found = await model.beamSearch("0123456789", {
        beams: 3,
        nBest: 3,
        maxNewTokens: 5,
        stopAtEndOfText: false,
      });
      const slow = await slowDiverse(model, [...byteTokenizer().encode("0123456789")], {
        ...{ beams: 3, groups: 1, diversityPenalty: 0, maxNewTokens: 5 },
      });
      assert.deepEqual(
        found.map(({ tokens }) => tokens),
        slow.map(({ tokens }) => tokens),
      );
    });

    it("in every storage dtype finds sequences whose scores follow from its own logits", async () => {
      for (const dtype of WEIGHT_TYPES) {
        const config = gpt2Config({ ...ODD, nEmbd: 96, nHead: 3, nInner: 64 });
        const model = await byteModelIn(dtype, backend, config, 1);
        const found = await model.beamSearch("xyz", { beams: 5, nBest: 5, maxNewTokens: 5, stopAtEndOfText: false });
        for (const { tokens, logprobs } of found) {
          const { logprobs: scored } = await model.score([...tokens], { context: "xyz" });
          for (const [i, logprob] of logprobs.entries()) assert.ok(Math.abs(logprob - scored[i]!) < 1e-3, dtype);
        }
      }
    });
  });
}

describe("beam search in a queue", () => {
  it("waits for as many slots as it has beams, refuses more than exist, and frees them", async () => {
    const [backend] = await backends();
    const model = new GPT2(
      { backend: backend!, config: ODD, weights: seededWeights(backend!, ODD), tokenizer: byteTokenizer() },
      { slots: 4 },
    );
    await assert.rejects(
      model.beamSearch("ab", { beams: 5 }),
      (error) => error instanceof UsageError && /beams/.test(error.message),
    );
    const options = { beams: 4, maxNewTokens: 5 };
    const [first, second, text] = await Promise.all([
      model.beamSearch("ab", options),
      model.beamSearch("ab", options),
      model.complete("ab", { maxNewTokens: 5, temperature: 0 }),
    ]);
    assert.deepEqual(first, second);
    assert.equal(text.tokens.length, 5);
    const stop = new AbortController();
    const aborted = model.beamSearch("abc", { ...options, maxNewTokens: 15, signal: stop.signal });
    const { scheduler } = model.generation();
    const steps = scheduler.status.steps;
    while (scheduler.status.steps < steps + 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await assert.rejects(aborted, /abort/i);
    await scheduler.idle();
    assert.ok(scheduler.slots.every(({ busy }) => !busy));
    assert.deepEqual(await model.beamSearch("ab", options), first);
  });

  it("refuses values out of range, and options of sampling", async () => {
    const [backend] = await backends();
    const model = byteModel(backend!);
    const wrong: BeamOptions[] = [
      { beams: 0 },
      { beams: 2.5 },
      { nBest: 5 },
      { groups: 3 },
      { diversityPenalty: 1 },
      { groups: 2, diversityPenalty: -1 },
      { lengthPenalty: Number.NaN },
      { earlyStopping: "ever" as "never" },
      { repetitionPenalty: 0 },
      { stop: "" },
      { temperature: 1 } as BeamOptions,
    ];
    for (const options of wrong)
      await assert.rejects(model.beamSearch("ab", options), UsageError, JSON.stringify(options));
    assert.deepEqual(await model.beamSearch("ab", { maxNewTokens: 0 }), []);
  });
});
