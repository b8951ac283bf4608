import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DataError } from "../../src/errors.js";
import { classifyText, firstWords } from "../../src/misuse/classifier/detector.js";
import { fitLogistic, logOdds } from "../../src/misuse/classifier/logistic.js";
import { wordsOf } from "../../src/misuse/classifier/terms.js";
import { Tfidf } from "../../src/misuse/classifier/tfidf.js";
import {
  fitDetector,
  loadTfidfDetector,
  PENALTIES,
  saveTfidfDetector,
  trainTfidfDetector,
} from "../../src/misuse/classifier/tfidf-detector.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";
import { gpt2 } from "../cli/run.js";
import { assertClose } from "../helpers/compare.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

interface Fixture {
  readonly train: readonly string[];
  readonly valid: readonly string[];
  readonly terms: readonly string[];
  readonly idf: readonly number[];
  readonly row: { readonly indices: readonly number[]; readonly values: readonly number[] };
  readonly odds: readonly (readonly [C: number, odds: readonly number[]])[];
  readonly accuracies: readonly number[];
  readonly best: number;
}

const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/detect/tfidf.json"), "utf8")) as Fixture;
const isMachine = fixture.train.map((_, i) => i >= 40);
const folder = await mkdtemp(join(tmpdir(), "gpt2-classifier-"));
after(() => rm(folder, { recursive: true, force: true }));

test("TF-IDF is scikit-learn's", () => {
  const features = Tfidf.fit(fixture.train, { minDf: 3 });
  // scikit-learn sorts by code point, which differs from code units beyond the basic plane alone.
  assert.deepEqual(features.terms, fixture.terms);
  assertClose("idf", features.idf, fixture.idf, { relative: 1e-12 });
  const { indices, values } = features.transform(fixture.valid[0]!);
  assert.deepEqual([...indices], fixture.row.indices);
  assertClose("row", values, fixture.row.values, { relative: 1e-12 });
  assert.equal(features.transform("nothing known here").indices.length, 0);
});

test("logistic regression is liblinear's", () => {
  const features = Tfidf.fit(fixture.train, { minDf: 3 });
  const rows = fixture.train.map((text) => features.transform(text));
  for (const [C, expected] of fixture.odds) {
    const weights = fitLogistic(rows, isMachine, features.terms.length, C);
    const odds = fixture.valid.map((text) => logOdds(weights, features.transform(text)));
    for (const [i, z] of odds.entries()) assert.ok(Math.abs(z - expected[i]!) < 1e-5, `C ${C}: ${z}, ${expected[i]}`);
    // From another start to the same minimum.
    const again = fitLogistic(
      rows,
      isMachine,
      features.terms.length,
      C,
      weights.map((w) => 3 - w),
    );
    for (const [i, w] of again.entries()) assert.ok(Math.abs(w - weights[i]!) < 1e-7);
  }
});

test("the penalty is chosen as scikit-learn chooses it", () => {
  const labelled = (texts: readonly string[]) => texts.map((text, i) => ({ text, machine: i >= texts.length / 2 }));
  const { C, accuracy } = fitDetector(labelled(fixture.train), labelled(fixture.valid), PENALTIES, { minDf: 3 });
  assert.equal(C, fixture.best);
  assert.equal(accuracy, Math.max(...fixture.accuracies));
});

test("words are runs of letters, digits and underscores, two and more", () => {
  assert.deepEqual(wordsOf("I don't SEE a_b, x 42; naïve 中文 e\u0301t"), ["don", "see", "a_b", "42", "naïve", "中文"]);
  assert.equal(firstWords("One, two; three.", 2), "One, two");
  assert.equal(firstWords("One, two; three.", 4), undefined);
});

/** Texts of made words, in which the machine favours some. */
function corpus(machine: boolean, count: number): string[] {
  const random = new RandomStream(9, machine ? 1 : 2);
  const word = () => (random.uniform() < 0.1 ? (machine ? "furthermore" : "anyhow") : `word${random.below(60)}`);
  return Array.from({ length: count }, () => Array.from({ length: 60 }, word).join(" "));
}

/** Texts of each kind. */
const TEXTS = TESTING_ALL ? 300 : 200;

test("a trained detector, saved, loaded, with false-positive rates", async () => {
  const [human, machine] = [corpus(false, TEXTS), corpus(true, TEXTS)];
  const trained = await trainTfidfDetector(human, machine, { name: "made words" });
  assert.deepEqual(trained.texts, { train: 1.6 * TEXTS, validation: TEXTS / 5, calibration: TEXTS / 10 });
  assert.ok(trained.accuracy > 0.9);
  const path = join(folder, "detector.json");
  await saveTfidfDetector(path, trained);
  const loaded = await loadTfidfDetector(path);
  const fresh = corpus(true, TEXTS + 1)[TEXTS]!;
  assert.deepEqual(await loaded.detector.score([fresh]), await trained.detector.score([fresh]));
  const found = await classifyText(loaded.detector, loaded.calibration, fresh);
  assert.ok(found.logOdds > 0 && found.falsePositives!.rate <= 2 / (TEXTS / 10 + 1));
  assert.equal(found.falsePositives!.texts, TEXTS / 10);
  const short = await classifyText(loaded.detector, loaded.calibration, "furthermore and no more");
  assert.equal(short.falsePositives, undefined);
  const same = await trainTfidfDetector(human, machine, { name: "made words" });
  assert.deepEqual(same.detector.weights, trained.detector.weights);
});

test("damaged detectors, and too few texts, are refused", async () => {
  await assert.rejects(trainTfidfDetector(["a"], ["b"], { name: "x" }), DataError);
  const different = Array.from({ length: 20 }, (_, i) => `only${i}`);
  await assert.rejects(trainTfidfDetector(different, different, { name: "x" }), DataError);
  const path = join(folder, "detector.json");
  const good = JSON.parse(await readFile(path, "utf8"));
  for (const change of [
    { version: 2 },
    { weights: [1] },
    { terms: [1] },
    { calibration: { name: "x", lengths: [] } },
  ]) {
    const wrong = join(folder, "wrong.json");
    await writeFile(wrong, JSON.stringify({ ...good, ...change }));
    await assert.rejects(loadTfidfDetector(wrong), DataError);
  }
});

test("gpt2 detect --train and --classifier", async () => {
  const [human, machine, out] = ["human", "machine", "out"].map((name) => join(folder, `${name}.jsonl`));
  const jsonl = (texts: readonly string[]) => texts.map((text) => `${JSON.stringify({ text })}\n`).join("");
  await writeFile(human!, jsonl(corpus(false, 200)));
  await writeFile(machine!, jsonl(corpus(true, 200)));
  const made = await gpt2(["detect", "--train", human!, machine!, "--set", "made words", "--out", out!]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(
    made.stdout,
    /^320 texts for training, 40 for validation, 20 human ones for calibration\naccuracy +(100\.00|9\d\.\d\d)%/,
  );
  const run = await gpt2(["detect", "--classifier", out!], corpus(true, 201)[200]!);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /log-odds +\d\.\d+ +4\.76%/);
  assert.match(run.stdout, /made words.*\nNo score proves who wrote a text\.\n$/);
  const json = await gpt2(["detect", "--classifier", out!, "--json"], "too short");
  assert.equal(JSON.parse(json.stdout).falsePositives, null);
  const wrong = await gpt2(["detect", "--train", human!, "--out", out!]);
  assert.equal(wrong.status, 2);
});
