import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gpt2Config } from "../../../src/architectures/gpt2/config.js";
import { UsageError } from "../../../src/errors.js";
import type { GenerateOptions } from "../../../src/generate/options.js";
import { Sampler } from "../../../src/generate/sampler.js";
import { openWatermark } from "../../../src/generate/watermark/open.js";
import {
  WATERMARK_SCHEMES,
  type WatermarkOptions,
  type WatermarkScheme,
  watermarkSettings,
} from "../../../src/generate/watermark/options.js";
import type { GPT2 } from "../../../src/gpt2.js";
import { samplingSettings } from "../../../src/pretrained/sampling-options.js";
import { RandomStream } from "../../../src/util/random.js";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { byteModel, fastestBackend, ODD } from "../models.js";

let model: GPT2;
before(async () => {
  model = byteModel(await fastestBackend());
});
after(() => model.dispose());

/** A watermark of each scheme, by an integer as key. */
const watermarkOf = (scheme: WatermarkScheme, key: number): WatermarkOptions =>
  scheme === "hf-synthid"
    ? { scheme, keys: Array.from({ length: 20 }, (_, i) => key * 1000 + i * i) }
    : ({ scheme, key } as WatermarkOptions);

const PLAIN = { temperature: 1, topK: 0 };
const marked = (scheme: WatermarkScheme, options: GenerateOptions = {}): GenerateOptions => ({
  ...PLAIN,
  maxNewTokens: 120,
  seed: 4,
  watermark: watermarkOf(scheme, 42),
  ...options,
});
const tokensOf = async (options: GenerateOptions, prompt = "ab") => (await model.complete(prompt, options)).tokens;

for (const scheme of WATERMARK_SCHEMES) {
  // Most of sampling is the same code for all schemes.
  const skip = ["gumbel", "red-green"].includes(scheme) ? false : LIKE_OTHERS;
  describe(scheme, () => {
    test("marks are found with their own key only", async () => {
      const tokens = await tokensOf(marked(scheme));
      const watermark = marked(scheme).watermark!;
      const right = await model.verifyWatermark(tokens, watermark);
      const wrong = await model.verifyWatermark(tokens, watermarkOf(scheme, 43));
      assert.equal(right.verdict, "found", `p ${right.pValue}`);
      assert.ok(right.pValue < 1e-6);
      assert.ok(wrong.pValue > 1e-3, `p ${wrong.pValue}`);
    });

    test("prompt lookup and neighbours change no token", { skip }, async () => {
      // Few tokens are likely, so that the text repeats itself and drafts are accepted.
      for (const options of [{ temperature: 0.3 }, { topK: 3, repetitionPenalty: 1.1 }].map((o) => ({
        ...o,
        maxNewTokens: 40,
      }))) {
        const alone = await tokensOf(marked(scheme, options));
        assert.deepEqual(await tokensOf(marked(scheme, { ...options, promptLookup: 7 })), alone);
        const [first] = await model.completions("ab", marked(scheme, { ...options, samples: 3 }));
        assert.deepEqual(first!.tokens, alone);
      }
    });

    test("penalties keep the mark", { skip: skip || LIKE_OTHERS }, async () => {
      for (const options of [{ repetitionPenalty: 1.3 }, { presencePenalty: 0.5, frequencyPenalty: 0.3 }]) {
        const tokens = await tokensOf(marked(scheme, options));
        assert.notDeepEqual(tokens, await tokensOf(marked(scheme)), "the penalty changes the text");
        const { verdict, pValue } = await model.verifyWatermark(tokens, marked(scheme).watermark!);
        assert.equal(verdict, "found", `${JSON.stringify(options)}: p ${pValue}`);
      }
    });

    test("a draft model changes no token", { skip }, async () => {
      const draft = byteModel(model.backend, gpt2Config({ ...ODD, nEmbd: 9, nLayer: 1, nInner: 11 }), 2);
      for (const options of [{ maxNewTokens: 40 }, { maxNewTokens: 40, topK: 3, repetitionPenalty: 1.1 }]) {
        const alone = await tokensOf(marked(scheme, options));
        const { tokens, drafts } = await model.complete("ab", { ...marked(scheme, options), draft, draftTokens: 4 });
        assert.deepEqual(tokens, alone);
        assert.ok(drafts!.proposed > 0);
      }
      await draft.dispose();
    });

    test("takes only tokens that the filters leave", async () => {
      const logits = Float32Array.of(1, 5, 4, 2, 3);
      for (const filter of [{ topK: 2 }, { minP: 0.3 }, { topP: 0.8 }]) {
        const mark = (await openWatermark(watermarkSettings(watermarkOf(scheme, 1)), 300)).mark([], 0);
        const sampler = new Sampler(samplingSettings({ ...PLAIN, ...filter }), 5, new RandomStream(1), mark);
        const taken = new Set(Array.from({ length: 100 }, () => sampler.sample(logits)));
        assert.deepEqual([...taken].sort(), [1, 2]);
      }
    });
  });
}

test("marked texts of every scheme, generated side by side, equal those generated alone", async () => {
  const plain = { ...PLAIN, maxNewTokens: 120, seed: 4 };
  const all = [plain, ...WATERMARK_SCHEMES.map((scheme) => marked(scheme))];
  const alone: (readonly number[])[] = [];
  for (const options of all) alone.push(await tokensOf(options));
  assert.deepEqual(await Promise.all(all.map((options) => tokensOf(options))), alone);
});

test("every way of sampling applies the mark", async () => {
  for (const options of [
    { typicalP: 0.9 },
    { topNSigma: 2, presencePenalty: 0.5, frequencyPenalty: 0.2 },
    { mirostatTau: 5 },
    { xtcProbability: 0.3, xtcThreshold: 0.05, dryMultiplier: 0.5 },
    { repetitionPenalty: 1.2, minP: 0.02, logitBias: { 65: 2 } },
  ]) {
    const tokens = await tokensOf(marked("gumbel", options));
    const { verdict, pValue } = await model.verifyWatermark(tokens, { key: 42 });
    assert.equal(verdict, "found", `${JSON.stringify(options)}: p ${pValue}`);
  }
});

test("samples of one prompt differ, the first tokens of the later ones being unmarked", async () => {
  const [first, second] = await model.completions("ab", marked("gumbel", { samples: 2 }));
  assert.notDeepEqual(first!.tokens, second!.tokens);
  const report = await model.verifyWatermark(second!.tokens, { key: 42 });
  assert.equal(report.verdict, "found");
});

test("the seed affects only the repeated contexts of a gumbel text", async () => {
  const wide = { key: 42, contextWidth: 8 };
  const [a, b] = [
    await tokensOf(marked("gumbel", { seed: 1, watermark: wide })),
    await tokensOf(marked("gumbel", { seed: 2, watermark: wide })),
  ];
  assert.deepEqual(a, b);
  const all = { ...wide, deduplicateContexts: "all" } as const;
  const c = await tokensOf(marked("gumbel", { seed: 1, watermark: all }));
  const d = await tokensOf(marked("gumbel", { seed: 2, watermark: all }));
  assert.notDeepEqual(c, d);
});

test("wrong options are errors that do not show the key", async () => {
  const refused = (watermark: unknown, pattern: RegExp, options: GenerateOptions = {}) =>
    assert.rejects(
      tokensOf({ watermark: watermark as WatermarkOptions, ...options }),
      (error: unknown) => error instanceof UsageError && pattern.test(error.message) && !/hush|-7/.test(error.message),
    );
  await refused({}, /key: expected an integer from 0 to 2\^64 - 1, or a text that is not a number, got none/);
  await refused({ key: -7 }, /got a negative number/);
  await refused({ key: 2n ** 64n }, /got a larger one/);
  await refused({ key: "  " }, /got an empty text/);
  await refused({ key: "hush", scheme: "invisible" }, /scheme: expected gumbel, .*got invisible/);
  await refused({ key: "hush", gamma: 0.5 }, /watermark gumbel: .*got gamma/);
  await refused({ key: "hush", scheme: "red-green", gamma: 1 }, /gamma: expected a number between 0 and 1, got 1/);
  await refused({ key: "hush", scheme: "synthid", depth: 33 }, /depth: expected an integer from 1 to 32, got 33/);
  await refused({ key: "hush", scheme: "hf-kgw" }, /key: expected transformers' hashing_key, below 2\^63, got a text/);
  await refused({ key: "hush", scheme: "hf-synthid" }, /watermark hf-synthid: .*got key/);
  await refused({ scheme: "hf-synthid", keys: [] }, /keys: expected integers, one for each round, got an empty list/);
  await refused(
    { scheme: "hf-synthid", keys: ["hush"] },
    /keys: expected integers from -2\^63 to 2\^63 - 1, got a text/,
  );
  await refused({ key: "hush" }, /expected a temperature above 0, got 0/, { temperature: 0 });
});
