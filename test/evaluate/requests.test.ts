import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { ContextLengthError, UsageError } from "../../src/errors.js";
import { Engine } from "../../src/generate/engine.js";
import { runGenerations } from "../../src/generate/generate-until.js";
import { runLogLikelihoods } from "../../src/generate/log-likelihood.js";
import { Scheduler } from "../../src/generate/scheduler.js";
import { fullForward, logSoftmax } from "../generate/full-forward.js";
import {
  byteTokenizer,
  END_OF_TEXT_ID,
  ODD,
  recitingTensors,
  seededWeights,
  testedBackends,
} from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";
import { RandomArrays } from "../helpers/random-arrays.js";

const TOLERANCE = { relative: 2e-6 };
const SEED = 1;
const { nCtx, vocabSize: V } = ODD;

const randomIds = (length: number, seed: number): number[] => [...new RandomArrays(seed).integers(length, V)];

function oddScheduler(backend: Backend, maxTokens = 64): Scheduler {
  return new Scheduler(new Engine(backend, ODD, seededWeights(backend, ODD, SEED), { maxTokens }));
}

/** Log-probabilities [T, V] of what follows each token. */
async function allLogprobs(ids: readonly number[]): Promise<number[][]> {
  const logits = await fullForward(ODD, SEED, ids);
  return ids.map((_, t) => logSoftmax(logits.subarray(t * V, (t + 1) * V)));
}

for (const backend of await testedBackends()) {
  describe(`log-likelihoods on ${backend.name}`, () => {
    // Families with a common beginning, a lone one, one that outgrows the context, and the same one twice.
    const stem = randomIds(8, 1);
    const requests = [
      ...[2, 3, 4].map((seed) => ({ context: stem, continuation: randomIds(seed, seed) })),
      { context: randomIds(3, 5), continuation: randomIds(1, 6) },
      { context: [...stem, 7], continuation: randomIds(9, 7) },
      { context: randomIds(40, 8), continuation: randomIds(6, 9) },
      { context: [1], continuation: randomIds(nCtx, 10) },
      { context: stem, continuation: randomIds(2, 2) },
    ];

    it("equal those of each request alone, however runs are divided", async () => {
      for (const maxTokens of [4, 64]) {
        let progress = 0;
        const onProgress = (done: number) => {
          assert.ok(done > progress);
          progress = done;
        };
        const scheduler = oddScheduler(backend, maxTokens);
        const asked = requests.map((request) => ({ ...request, best: true, top: 5 }));
        const answers = await runLogLikelihoods(scheduler, asked, { onProgress });
        assert.equal(progress, requests.length);
        for (const [i, { context, continuation }] of requests.entries()) {
          const { logprobs, logprob, best, top } = answers[i]!;
          const read = [...context, ...continuation].slice(0, -1).slice(-nCtx);
          const rows = (await allLogprobs(read)).slice(-continuation.length);
          const want = continuation.map((id, k) => rows[k]![id]!);
          assertClose(`request ${i}`, logprobs, want, TOLERANCE);
          assert.ok(Math.abs(logprob - want.reduce((a, b) => a + b)) < 1e-4);
          const order = (row: readonly number[]) => [...row.keys()].sort((a, b) => row[b]! - row[a]!);
          assert.deepEqual(
            [...best],
            rows.map((row) => order(row)[0]),
            `best of ${i}`,
          );
          assert.deepEqual([...top], order(rows[0]!).slice(0, 5), `top of ${i}`);
        }
        await scheduler.dispose();
      }
    });

    it("give likeliest tokens on request only, within the vocabulary limit", async () => {
      const scheduler = oddScheduler(backend);
      const [plain] = await runLogLikelihoods(scheduler, requests.slice(0, 1));
      assert.deepEqual([plain!.best.length, plain!.top.length], [0, 0]);
      const asked = requests.map((request) => ({ ...request, best: true, top: 3 }));
      for (const { best, top } of await runLogLikelihoods(scheduler, asked, { vocabLimit: 10 })) {
        assert.ok([...best, ...top].every((id) => id < 10));
      }
    });

    it("refuse requests without a probability", async () => {
      const scheduler = oddScheduler(backend);
      for (const bad of [
        { context: [], continuation: [1] },
        { context: [1], continuation: [] },
      ]) {
        await assert.rejects(runLogLikelihoods(scheduler, [bad]), UsageError);
      }
      const long = { context: [1], continuation: randomIds(nCtx + 1, 1) };
      await assert.rejects(runLogLikelihoods(scheduler, [long]), ContextLengthError);
      await assert.rejects(runLogLikelihoods(scheduler, [{ context: [1], continuation: [V] }]), UsageError);
      await assert.rejects(runLogLikelihoods(scheduler, [{ context: [V], continuation: [1, 2] }]), UsageError);
      for (const top of [-1, 1.5, Number.NaN]) {
        await assert.rejects(runLogLikelihoods(scheduler, [{ context: [1], continuation: [1], top }]), UsageError);
      }
      assert.deepEqual(await runLogLikelihoods(scheduler, []), []);
    });
  });

  describe(`generation until a stop on ${backend.name}`, () => {
    const tokenizer = byteTokenizer();
    const options = { text: (stop: readonly string[]) => tokenizer.textStream(stop), eosTokenIds: [END_OF_TEXT_ID] };
    const base = { maxNewTokens: 10, until: [] as string[], topK: 1, seed: 0 };

    it("generates for each prompt the same as for it alone", async () => {
      const scheduler = oddScheduler(backend);
      const stem = randomIds(6, 1);
      const prompts = [0, 1, 2, 3, 4].map((i) => [...(i < 4 ? stem : []), ...randomIds(i + 1, i + 20)]);
      for (const topK of [1, 3]) {
        const requests = prompts.map((prompt, seed) => ({ ...base, prompt, topK, seed }));
        const together = await runGenerations(scheduler, requests, options);
        const alone = await Promise.all(requests.map((r) => runGenerations(scheduler, [r], options)));
        assert.deepEqual(
          together.map(({ text, tokens }) => [text, tokens]),
          alone.map(([result]) => [result!.text, result!.tokens]),
        );
      }
    });

    it("decodes greedily, with log-probabilities", async () => {
      const scheduler = oddScheduler(backend);
      const prompt = randomIds(5, 3);
      const [result] = await runGenerations(scheduler, [{ ...base, prompt, maxNewTokens: 8 }], options);
      const ids = [...prompt];
      let logprob = 0;
      for (let n = 0; n < 8; n++) {
        const row = (await allLogprobs(ids)).at(-1)!;
        const next = row.indexOf(Math.max(...row));
        ids.push(next);
        logprob += row[next]!;
        if (next === END_OF_TEXT_ID) break;
      }
      assert.equal(result!.text, tokenizer.decode(ids.slice(5).filter((id) => id !== END_OF_TEXT_ID)));
      assert.ok(Math.abs(result!.logprob - logprob) < 1e-4);
    });

    it("ends at a stop string, at the end of the text, or when the context is full", async () => {
      const script = [...tokenizer.encode("one two. three\nfour")];
      const { config, tensors } = recitingTensors([...script, END_OF_TEXT_ID, 65, 65], 24);
      const weights = new Map(
        tensors.map(({ name, data }) => {
          const array = backend.alloc("f32", data.length);
          array.write(data);
          return [name, array];
        }),
      );
      const scheduler = new Scheduler(new Engine(backend, config, weights));
      const ask = async (until: string[], maxNewTokens: number) => {
        const request = { ...base, prompt: [33], until, maxNewTokens };
        return (await runGenerations(scheduler, [request], options))[0]!;
      };
      assert.deepEqual((await ask(["\n"], 20)).text, "one two. three");
      assert.deepEqual((await ask([". ", "zzz"], 20)).text, "one two");
      assert.deepEqual(await ask(["zzz"], 3).then(({ text, tokens }) => [text, tokens]), ["one", 3]);
      const whole = await ask([], 23);
      assert.deepEqual([whole.text, whole.tokens], ["one two. three\nfour", script.length + 1]);
      assert.equal((await ask([], 0)).text, "");
    });

    it("keeps the end of a prompt that leaves no room", async () => {
      const scheduler = oddScheduler(backend);
      const prompt = randomIds(50, 4);
      const [long] = await runGenerations(scheduler, [{ ...base, prompt }], options);
      const [short] = await runGenerations(scheduler, [{ ...base, prompt: prompt.slice(-(nCtx - 10)) }], options);
      assert.deepEqual(long, short);
      for (const bad of [{ prompt: [] }, { maxNewTokens: -1 }, { maxNewTokens: 0.5 }, { topK: -1 }, { prompt: [V] }]) {
        await assert.rejects(runGenerations(scheduler, [{ ...base, prompt, ...bad }], options), UsageError);
      }
    });
  });
}
