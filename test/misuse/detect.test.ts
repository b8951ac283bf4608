import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { DataError, UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { calibrateDetection } from "../../src/misuse/detect/calibrate.js";
import {
  type Calibration,
  calibrationOf,
  checkCalibration,
  falsePositives,
} from "../../src/misuse/detect/calibration.js";
import { loadCalibration, saveCalibration } from "../../src/misuse/detect/calibration-file.js";
import { passagesOf } from "../../src/misuse/detect/passages.js";
import { detectionHtml } from "../../src/misuse/detect/picture/html.js";
import { detectionSvg } from "../../src/misuse/detect/picture/svg.js";
import { keptRanks } from "../../src/misuse/detect/rate-table.js";
import { type ScoreName, scoresOf } from "../../src/misuse/detect/scores.js";
import type { TokenStatistics } from "../../src/misuse/detect/token-statistics.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";
import { backends, byteModel, byteTokenizer, ODD, testedBackends } from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

interface Fixture {
  readonly performer: { readonly config: GPT2Config; readonly seed: number };
  readonly observer: { readonly config: GPT2Config; readonly seed: number };
  readonly texts: readonly (Readonly<Record<ScoreName, number>> & {
    readonly ids: readonly number[];
    readonly ranks: readonly number[];
    readonly entropies: readonly number[];
  })[];
}

const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/detect/scores.json"), "utf8")) as Fixture;
const folder = await mkdtemp(join(tmpdir(), "gpt2-detect-"));
after(() => rm(folder, { recursive: true, force: true }));

for (const backend of await testedBackends()) {
  describe(`detection on ${backend.name}`, () => {
    const modelOf = ({ config, seed }: Fixture["performer"]) => byteModel(backend, gpt2Config(config), seed);

    test("ranks, entropies and scores are those of transformers' logits", async () => {
      const [performer, observer] = [modelOf(fixture.performer), modelOf(fixture.observer)];
      for (const { ids, ranks, entropies, ...expected } of fixture.texts) {
        const options = { context: ids.slice(0, 1), observer };
        const { statistics, scores } = await performer.detect(ids.slice(1), options);
        assert.deepEqual([...statistics.ranks], ranks);
        const own = statistics.means.map((mean) => -mean);
        assertClose("entropies", own, entropies, { relative: 1e-5 });
        for (const name of ["logLikelihood", "logRank", "curvature", "binoculars"] as const) {
          const difference = Math.abs(scores[name]! - expected[name]);
          assert.ok(difference < 1e-4, `${name} of ${ids.length} tokens: ${scores[name]}, ${expected[name]}`);
        }
        // Without the observer, the other scores are the same.
        const { binoculars, ...alone } = scores;
        assert.ok(binoculars !== undefined);
        const again = await performer.detect(ids.slice(1), { context: ids.slice(0, 1) });
        for (const [name, value] of Object.entries(again.scores)) {
          assert.ok(Math.abs(value - alone[name as keyof typeof alone]!) < 1e-5, name);
        }
      }
    });

    test("a text longer than the context is read in windows, like by score", { skip: LIKE_OTHERS }, async () => {
      const model = byteModel(backend);
      const ids = [...new RandomArrays(7).integers(3 * ODD.nCtx, ODD.vocabSize)];
      for (const stride of [1, 10, ODD.nCtx]) {
        const { logprobs } = await model.score(ids, { stride });
        const { statistics } = await model.detect(ids, { stride });
        assertClose(`stride ${stride}`, statistics.logprobs, logprobs, { relative: 2e-6 });
        const observed = await model.detect(ids, { stride, observer: model });
        assert.equal(observed.statistics.crossEntropies.length, ids.length + 1);
        // Under itself a prediction's cross-entropy is its entropy.
        const entropies = observed.statistics.means.map((mean) => -mean);
        assertClose("entropy", observed.statistics.crossEntropies.subarray(0, -1), entropies, { relative: 1e-5 });
      }
    });
  });
}

const [reference] = await backends();

test("wrong options are refused", async () => {
  const model = byteModel(reference!);
  const other = byteModel(reference!, gpt2Config({ ...ODD, vocabSize: 300 }));
  await assert.rejects(model.detect("A text", { observer: other }), UsageError);
  await assert.rejects(model.detect(""), UsageError);
  await assert.rejects(model.detect("A text", { calibrations: null } as object), UsageError);
});

/** Statistics of a text in which every token has the log-probability `logprob`; only the fields that scores need. */
function constantText(tokens: number, logprob: number): TokenStatistics {
  return {
    logprobs: new Float64Array(tokens).fill(logprob),
    ranks: new Int32Array(tokens).fill(Math.ceil(-logprob)),
    means: new Float64Array(tokens).fill(-2),
    variances: new Float64Array(tokens).fill(1),
    crossEntropies: new Float64Array(0),
  };
}

const fingerprint = { nLayer: 1, nEmbd: 1, vocabSize: 1, probe: -1 };

test("a false-positive rate counts the human texts that score as high", { skip: LIKE_OTHERS }, () => {
  const random = new RandomStream(5);
  const human = Array.from({ length: 700 }, () => constantText(70, -1 - 3 * random.uniform()));
  const calibration = calibrationOf(human, { name: "test", model: fingerprint });
  assert.deepEqual(
    calibration.lengths.map(({ tokens }) => tokens),
    [32, 64],
  );
  for (let trial = 0; trial < 300; trial++) {
    const text = constantText(32 + random.below(60), -1 - 3.2 * random.uniform());
    const { rate, interval } = falsePositives(calibration, "logLikelihood", text)!;
    const value = scoresOf(text).logLikelihood!;
    const exact = human.filter((of) => scoresOf(of).logLikelihood! >= value).length;
    const expected = (exact + 1) / 701;
    // Exact to the first 100 human texts, then at most 5% too large.
    if (exact < 99) assert.ok(Math.abs(rate - expected) < 1e-9, `${rate}, ${expected}`);
    else assert.ok(rate >= expected - 1e-9 && rate <= 1.07 * expected, `${rate}, ${expected}`);
    assert.ok(interval[0] <= rate && rate <= interval[1] + 2 / 701);
  }
  assert.equal(falsePositives(calibration, "logLikelihood", constantText(31, -1)), undefined);
  assert.equal(falsePositives(calibration, "binoculars", constantText(40, -1)), undefined);
});

test("between two calibrated lengths the larger rate counts", () => {
  const texts = (tokens: number, logprob: number) => Array.from({ length: 100 }, () => constantText(tokens, logprob));
  const short = calibrationOf([...texts(32, -1), ...texts(64, -3)], { name: "test", model: fingerprint });
  const rate = (tokens: number) => falsePositives(short, "logLikelihood", constantText(tokens, -2))!.rate;
  assert.ok(rate(64) < 0.01, "no human text of 64 tokens scores as high");
  assert.ok(rate(50) > 0.49 && rate(32) > 0.49, "half of those of 32 tokens do");
  assert.equal(rate(64), rate(500));
});

test("ranks that are kept", () => {
  for (const n of [1, 2, 99, 100, 101, 102, 1000, 12345]) {
    const kept = keptRanks(n);
    assert.equal(kept[0], 1);
    assert.equal(kept.at(-1), n);
    assert.deepEqual(
      [...new Set(kept)].sort((a, b) => a - b),
      kept,
    );
  }
  assert.ok(keptRanks(2 ** 31).length < 500);
});

test("too few texts, and files that are no calibration, are refused", async () => {
  const few = Array.from({ length: 99 }, () => constantText(40, -1));
  assert.throws(() => calibrationOf(few, { name: "few", model: fingerprint }), DataError);
  const good = calibrationOf([...few, ...few], { name: "good", model: fingerprint });
  const path = join(folder, "calibration.json");
  await saveCalibration(path, good);
  assert.deepEqual(await loadCalibration(path), good);
  await assert.rejects(loadCalibration(join(folder, "none.json")), DataError);
  const [length] = good.lengths;
  const wrong: unknown[] = [
    null,
    { ...good, version: 2 },
    { ...good, lengths: [] },
    { ...good, lengths: [length, length] },
    { ...good, lengths: [{ ...length, texts: 0 }] },
    { ...good, lengths: [{ ...length, texts: 1e15 }] },
    { ...good, lengths: [{ ...length, scores: { curvature: [1, 2] } }] },
    { ...good, lengths: [{ ...length, scores: { curvature: ["1"] } }] },
  ];
  for (const value of wrong) assert.throws(() => checkCalibration(value, "x.json"), DataError);
});

test("passages begin with paragraphs and have at most so many tokens", () => {
  const tokenizer = byteTokenizer();
  const text = "One.\n\nTwo is here.\nThree\n\n\n\nFour, which is longer than the others by far.\n";
  const passages = [...passagesOf(text, tokenizer, 20)].map((ids) => tokenizer.decode(ids));
  assert.deepEqual(passages, ["One.\n\nTwo is here.\n\n".slice(0, 20), "Four, which is longe"]);
});

test("a calibration with an observer has Binoculars' rates, for that observer alone", {
  skip: LIKE_OTHERS,
}, async () => {
  const backend = (await backends()).at(-1)!;
  const modelOf = ({ config, seed }: Fixture["performer"]) => byteModel(backend, gpt2Config(config), seed);
  const [performer, observer] = [modelOf(fixture.performer), modelOf(fixture.observer)];
  const random = new RandomStream(6);
  const letters = (count: number) =>
    Array.from({ length: count }, () => String.fromCharCode(97 + random.below(26))).join("");
  const documents = Array.from({ length: 120 }, () => letters(64));
  const calibration = await calibrateDetection(performer, documents, { name: "letters", observer });
  assert.deepEqual(
    calibration.lengths.map(({ tokens, texts }) => [tokens, texts]),
    [
      [32, 120],
      [64, 120],
    ],
  );
  const text = letters(64);
  const both = await performer.detect(text, { calibration, observer });
  assert.deepEqual(Object.keys(both.falsePositives), ["logLikelihood", "logRank", "curvature", "binoculars"]);
  for (const { rate } of Object.values(both.falsePositives)) assert.ok(rate >= 1 / 121 && rate <= 1);
  const alone = await performer.detect(text, { calibration });
  assert.deepEqual(Object.keys(alone.falsePositives), ["logLikelihood", "logRank", "curvature"]);
  // Another observer's ratios are not comparable; the other scores are.
  const other = await performer.detect(text, { calibration, observer: performer });
  assert.deepEqual(other.falsePositives, alone.falsePositives);
});

test("calibrate and detect with the default model", async () => {
  const model = await GPT2.load(undefined, { threads: 1 });
  const written = await model.completions("", { samples: 4, maxNewTokens: 40, seed: 3, temperature: 1, topK: 0 });
  const paragraph = (i: number): string => `${written[i % 4]!.text.replace(/\n+/g, " ")} ${i}`;
  const documents = Array.from({ length: 6 }, (_, i) => [0, 1, 2, 3].map((k) => paragraph(i + k)).join("\n"));
  const calibration = await calibrateDetection(model, documents, { name: "ours", passages: 110 }).catch(
    (error) => error,
  );
  assert.ok(calibration instanceof DataError, "6 long passages are too few");
  const text = documents[0]!;
  const free = await model.detect(text, { calibration: null });
  assert.equal(free.uncalibrated, "no calibration");
  assert.deepEqual(free.falsePositives, {});
  const { statistics } = free;
  const own: Calibration = calibrationOf(
    Array.from({ length: 100 }, () => statistics),
    { name: "copies", model: { ...fingerprint, nLayer: model.config.nLayer } },
  );
  assert.equal((await model.detect(text, { calibration: own })).uncalibrated, "calibration of another model");
  assert.equal((await model.detect("Too short.", { calibration: own })).uncalibrated, "too short");
  const pictures = [detectionHtml(model.tokenizer!, free, ["a <note>"]), detectionSvg(model.tokenizer!, free)];
  for (const picture of pictures) assert.match(picture, /top 1,000/);
  assert.match(pictures[0]!, /a &lt;note&gt;/);
  const shown = pictures[0]!.match(/<p class="text">(.*?)<\/p>/s)![1]!.replace(/<[^>]*>/g, "");
  assert.equal(shown, text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;"));
  await model.dispose();
});

test("the default model's own calibration is used, and names its set", { skip: LIKE_OTHERS }, async () => {
  const model = await GPT2.load(undefined, { threads: 1 });
  const { text } = await model.complete("", { maxNewTokens: 100, seed: 1, temperature: 0.7, topK: 40 });
  const detection = await model.detect(text);
  assert.equal(detection.uncalibrated, undefined);
  assert.match(detection.calibration!.name, /held-out/);
  for (const name of ["logLikelihood", "logRank", "curvature"] as const) {
    const { rate, texts } = detection.falsePositives[name]!;
    assert.ok(rate > 0 && rate < 0.2, `${name}: ${rate}`);
    assert.ok(texts >= 500);
  }
  await model.dispose();
});
