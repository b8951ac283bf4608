import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { hashFiles } from "../../src/evaluate/report-file.js";
import { GPT2 } from "../../src/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import { evaluateOn, metricOf, seededModel } from "./support.js";

interface HarnessTask<Item> {
  readonly metrics: Readonly<Record<string, number>>;
  readonly items: readonly Item[];
}

interface ChoiceItem {
  readonly logprobs: readonly number[];
  readonly acc: number;
  readonly acc_norm?: number;
}

/** Made by scripts/python/make_harness_fixture.py. */
interface HarnessFixture {
  readonly results: {
    readonly lambada: HarnessTask<{ readonly logprob: number; readonly greedy: boolean }>;
    readonly hellaswag: HarnessTask<ChoiceItem>;
    readonly wikitext: HarnessTask<{ readonly logprob: number; readonly words: number; readonly bytes: number }>;
    readonly [blimp: `blimp/${string}`]: HarnessTask<ChoiceItem>;
  };
}

interface SeededFixture extends HarnessFixture {
  readonly config: GPT2Config;
  readonly seed: number;
}

interface DefaultFixture extends HarnessFixture {
  /** SHA-256 of the weights' file. */
  readonly weights: string;
}

const read = (name: string) => JSON.parse(readFileSync(packageFile(`test/fixtures/evaluate/${name}`), "utf8"));
const seeded: SeededFixture = read("harness.json");
const trained: DefaultFixture = read("harness-default.json");

/** Sums of up to a thousand log-probabilities in single precision against double. */
const LOGPROB = 1e-5;

function assertNear(what: string, got: number, want: number, tolerance = LOGPROB): void {
  assert.ok(Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want)), `${what}: ${got}, want ${want}`);
}

const { acc, acc_norm } = seeded.results.hellaswag.metrics;
assert.notEqual(acc, acc_norm, "the two can be told apart");
const SMALL = "a small seeded model";
agreesWithHarness(SMALL, seeded, () => seededModel(gpt2Config(seeded.config), seeded.seed));
agreesWithHarness("the default model", trained, async () => {
  const [weights] = await hashFiles([packageFile("models/default/model.safetensors")]);
  const remake = "the model is another: python3 scripts/python/make_harness_fixture.py --model models/default";
  assert.equal(weights!.sha256, trained.weights, remake);
  return GPT2.load(undefined, { kv: "f32" }); // as transformers holds them
});

function agreesWithHarness(name: string, fixture: HarnessFixture, open: () => Promise<GPT2>): void {
  describe(`the LM evaluation harness with transformers, item by item: ${name}`, () => {
    const { lambada, hellaswag, wikitext } = fixture.results;
    // The default model's requests are those of the small one.
    const skip = name !== SMALL && !TESTING_ALL && "in npm run test:all";
    let model: GPT2;
    before(async () => {
      model = await open();
    });
    after(() => model?.dispose());

    it("LAMBADA", async () => {
      const result = await evaluateOn(model, "lambada");
      assert.equal(result.outcomes.length, lambada.items.length);
      for (const [i, { logprob, greedy }] of lambada.items.entries()) {
        assertNear(`item ${i}`, result.outcomes[i]!.logprob as number, logprob);
        assert.equal(result.outcomes[i]!.greedy, greedy, `item ${i}`);
      }
      assert.equal(metricOf(result, "accuracy"), lambada.metrics.acc);
      assertNear("perplexity", Math.log(metricOf(result, "perplexity")), Math.log(lambada.metrics.perplexity!));
    });

    it("HellaSwag", { skip }, async () => {
      const result = await evaluateOn(model, "hellaswag");
      assert.equal(result.outcomes.length, hellaswag.items.length);
      for (const [i, { logprobs, acc, acc_norm }] of hellaswag.items.entries()) {
        const { right, byTotal, byCharacter, ...outcome } = result.outcomes[i]!;
        for (const [k, logprob] of logprobs.entries()) {
          assertNear(`item ${i}, ending ${k}`, (outcome.logprobs as number[])[k]!, logprob);
        }
        assert.deepEqual([Number(byTotal === right), Number(byCharacter === right)], [acc, acc_norm], `item ${i}`);
      }
      assert.equal(metricOf(result, "accuracy"), hellaswag.metrics.acc);
      assert.equal(metricOf(result, "acc_norm"), hellaswag.metrics.acc_norm);
    });

    it("BLiMP", async () => {
      const result = await evaluateOn(model, "blimp:each");
      const paradigms = Object.entries(fixture.results).filter(([name]) => name.startsWith("blimp/"));
      assert.equal(paradigms.length, 4);
      for (const [name, task] of paradigms as [string, HarnessTask<ChoiceItem>][]) {
        const paradigm = name.slice("blimp/".length);
        const outcomes = result.outcomes.filter((outcome) => outcome.paradigm === paradigm);
        assert.equal(outcomes.length, task.items.length);
        for (const [i, { logprobs, acc }] of task.items.entries()) {
          assertNear(`${name}, good of ${i}`, outcomes[i]!.good as number, logprobs[0]!);
          assertNear(`${name}, bad of ${i}`, outcomes[i]!.bad as number, logprobs[1]!);
          assert.equal(Number(outcomes[i]!.right), acc);
        }
        assert.equal(metricOf(result, `paradigm ${paradigm}`), task.metrics.acc);
      }
    });

    it("WikiText-2", { skip }, async () => {
      const result = await evaluateOn(model, "wikitext-2:harness");
      const sum = (page: number, key: string) =>
        result.outcomes
          .filter(({ document }) => document === page)
          .reduce((total, outcome) => total + (outcome[key] as number), 0);
      assert.equal(result.facts.documents, wikitext.items.length);
      for (const [page, { logprob, words, bytes }] of wikitext.items.entries()) {
        assertNear(`page ${page}`, sum(page, "logprob"), logprob);
        assertNear(`words of page ${page}`, sum(page, "words"), words, 1e-12);
        assertNear(`bytes of page ${page}`, sum(page, "bytes"), bytes, 1e-12);
      }
      const { word_perplexity, bits_per_byte } = wikitext.metrics;
      assertNear("words", Math.log(metricOf(result, "perplexity per word")), Math.log(word_perplexity!));
      assertNear("bytes", metricOf(result, "bits per byte"), bits_per_byte!);
    });
  });
}
