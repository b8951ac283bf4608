/** Fine-tuning for a task: classifiers and regressors, whole and as adapters; their files and predictions. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { labelledLine } from "../../src/data/examples/labelled-line.js";
import { ConfigError, DataError, UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { classificationReport, regressionReport } from "../../src/train/classification-metrics.js";
import type { EndEvent, StartEvent, TrainEvent } from "../../src/train/events.js";
import { type FinetuneOptions, finetune } from "../../src/train/finetune.js";
import { BYTES, byteTokenizer } from "../generate/models.js";
import { CLASSIFIER_FIXTURES, classifierTexts, expectedOf } from "../helpers/classifier-fixtures.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { anyBackend, curveOf } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-classify-"));
const base = join(dir, "base");
const CONFIG = gpt2Config({ vocabSize: BYTES, nCtx: 24, nEmbd: 32, nHead: 2, nLayer: 1, tieWordEmbeddings: false });
let folders = 0;
const newFolder = (): string => join(dir, `run-${folders++}`);

/** Random words of two alphabets; the alphabet is the label. */
const WORDS = Array.from({ length: 80 }, (_, i) => {
  const alphabet = i % 2 === 0 ? "aeiou" : "kmnst";
  const text = Array.from({ length: 3 + (i % 5) }, (_, j) => alphabet[(i * 7 + j * j * 3) % 5]).join("");
  return { text: `${text}${i}`, label: i % 2 === 0 ? "vowels" : "consonants" };
});

function jsonl(name: string, lines: readonly object[]): string {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

before(async () => {
  const tensors = Array.from(seededTensors(CONFIG, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(base, { config: CONFIG, tensors });
  await saveTokenizer(byteTokenizer(), base);
});
after(() => rmSync(dir, { recursive: true }));

type Options = Partial<FinetuneOptions> & { readonly out: string; readonly stop?: AbortSignal };

async function run(
  { stop, ...options }: Options,
  onEvent: (event: TrainEvent) => void = () => {},
): Promise<{ events: TrainEvent[]; start: StartEvent; end: EndEvent }> {
  const common = options.resume ? {} : { from: base, task: "classify" as const };
  const trainer = await finetune({ backend: await anyBackend(), ...common, ...options });
  const events: TrainEvent[] = [];
  for await (const event of trainer.run(stop)) {
    events.push(event);
    onEvent(event);
  }
  return { events, start: events[0] as StartEvent, end: events.at(-1) as EndEvent };
}

const texts = WORDS.map(({ text }) => text);
const LEARN = { epochs: 8, settings: { lr: 5e-3, patience: 0 } };

describe("a classifier", () => {
  let model: string;
  let end: EndEvent;
  before(async () => {
    const out = newFolder();
    const result = await run({ ...LEARN, data: jsonl("words.jsonl", WORDS), valFraction: 0.3, out });
    assert.deepEqual(result.start.head, { kind: "classification", labels: ["consonants", "vowels"] });
    assert.equal(result.start.examples!.train + result.start.examples!.val, WORDS.length);
    ({ end } = result);
    model = end.model!;
  });

  it("learns the labels, and reports its accuracy on held-out texts", () => {
    const report = end.best!.report!;
    assert.ok("labels" in report && report.accuracy > 0.9 && report.macroF1 > 0.9, JSON.stringify(report));
    assert.deepEqual(
      report.labels.map(({ label }) => label),
      ["consonants", "vowels"],
    );
    assert.ok(report.texts > 10 && report.labels[0]!.texts + report.labels[1]!.texts === report.texts);
  });

  it("is a GPT2ForSequenceClassification, which loads and classifies", async () => {
    const json = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as Record<string, unknown>;
    const expected = {
      architectures: ["GPT2ForSequenceClassification"],
      problem_type: "single_label_classification",
      num_labels: 2,
      id2label: { "0": "consonants", "1": "vowels" },
      label2id: { consonants: 0, vowels: 1 },
      pad_token_id: BYTES - 1,
      tie_word_embeddings: true,
    };
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(json[field], value, field);
    await using loaded = await GPT2.load(model);
    assert.equal(loaded.fineTunedFor(), "classification");
    assert.deepEqual(loaded.labels(), ["consonants", "vowels"]);
    const found = await loaded.classify(texts);
    const right = found.filter(({ label }, i) => label === WORDS[i]!.label).length;
    assert.ok(right >= 0.95 * WORDS.length, `${right} of ${WORDS.length}`);
    for (const { label, probability, scores } of found) {
      const sum = scores.reduce((total, score) => total + score.probability, 0);
      assert.ok(Math.abs(sum - 1) < 1e-12 && probability >= 0.5);
      assert.equal(scores.find((score) => score.label === label)!.probability, probability);
    }
    const alone = await loaded.classify(texts[5]!);
    assert.ok(Math.abs(alone.probability - found[5]!.probability) < 1e-5, "texts read together see only themselves");
    const long = "a".repeat(50);
    assert.deepEqual(await loaded.classify(long), await loaded.classify(long.slice(0, 24)));
    await assert.rejects(loaded.classify(long, { truncate: false }), /at most 24 tokens, the model's context, got 50/);
    await assert.rejects(loaded.classify(""), /text 1 of 1: expected at least one token/);
    await assert.rejects(loaded.regress("a"), /fine-tuned for regression, got one for classification/);
  });

  it("keeps its head when it is converted, and cannot become a GGUF", async () => {
    const copy = join(dir, "copy");
    await convertModel(model, copy, { dtype: "f16" });
    await using before = await GPT2.load(model);
    await using after = await GPT2.load(copy);
    const logits = async (of: GPT2) => (await of.classify("aei")).scores.map(({ logit }) => logit);
    // Half precision: 11 bits, in sums of terms of about 1.
    assertClose("logits", await logits(after), await logits(before), { relative: 5e-3, floor: 1 });
    await assert.rejects(convertModel(model, join(dir, "x.gguf")), /GGUF format: expected a language model/);
    await assert.rejects(convertModel(model, join(dir, "x.bin")), /llm.c format: expected a language model/);
  });

  it("continues from one with the same labels, and not with others", async () => {
    const again = await run({
      from: model,
      data: jsonl("words2.jsonl", WORDS),
      out: newFolder(),
      settings: { steps: 1, lr: 0, minLr: 0 },
    });
    const report = again.end.best!.report!;
    assert.ok("labels" in report && report.accuracy > 0.9, "the head came with the model");
    const renamed = WORDS.map(({ text, label }) => ({ text, label: `${label}!` }));
    const other = await run({
      from: model,
      data: jsonl("words3.jsonl", renamed),
      out: newFolder(),
      settings: { steps: 1, lr: 0, minLr: 0 },
    });
    assert.notEqual(other.end.best!.loss, again.end.best!.loss);
  });
});

describe("an adapter for classification", () => {
  it("learns its own head, is chosen by a request, merges, and resumes bit for bit", {
    skip: LIKE_OTHERS,
  }, async () => {
    const data = jsonl("adapter.jsonl", WORDS);
    const lora = { rank: 4 };
    const whole = newFolder();
    const { end, start } = await run({ ...LEARN, data, lora, out: whole });
    assert.equal(start.trainedParameters, 4 * (32 + 96 + 32 + 32 + 32 + 128 + 128 + 32) + 2 * 32);
    const adapter = end.adapter!;
    const json = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8")) as Record<string, unknown>;
    assert.equal(json.task_type, "SEQ_CLS");
    assert.deepEqual(json.modules_to_save, ["classifier", "score"]);
    await using model = await GPT2.load(base, { adapters: { words: adapter } });
    assert.equal(model.labels(), undefined);
    assert.deepEqual(model.labels({ adapter: "words" }), ["consonants", "vowels"]);
    const found = await model.classify(texts, { adapter: "words" });
    assert.ok(found.filter(({ label }, i) => label === WORDS[i]!.label).length >= 0.95 * WORDS.length);
    await assert.rejects(model.classify("aei"), /got one that generates text/);
    const merged = join(dir, "merged");
    await convertModel(base, merged, { merge: adapter });
    await using alone = await GPT2.load(merged);
    const logits = (results: typeof found) => results.flatMap(({ scores }) => scores.map(({ logit }) => logit));
    assertClose("merged", logits(await alone.classify(texts)), logits(found), { relative: 1e-4 });

    const broken = newFolder();
    const stop = new AbortController();
    await run({ ...LEARN, data, lora, out: broken, stop: stop.signal }, ({ type, step }) => {
      if (type === "step" && step === 7) stop.abort();
    });
    await run({ resume: true, out: broken });
    assert.deepEqual(curveOf(broken), curveOf(whole));
    const weights = (out: string) => readFileSync(join(out, "adapter", "adapter_model.safetensors"));
    assert.ok(weights(broken).equals(weights(whole)));
  });
});

describe("a regressor", () => {
  it("learns numbers", { skip: LIKE_OTHERS }, async () => {
    const lines = Array.from({ length: 60 }, (_, i) => ({
      text: `${"a".repeat(1 + (i % 9))}b${i}`,
      label: (i % 9) / 4 - 1,
    }));
    const data = jsonl("numbers.jsonl", lines);
    const { end, start } = await run({ task: "regress", epochs: 15, data, out: newFolder(), settings: LEARN.settings });
    assert.deepEqual(start.head, { kind: "regression", labels: ["LABEL_0"] });
    const report = end.best!.report!;
    // Their variance is 0.42.
    assert.ok("meanSquaredError" in report && report.meanSquaredError < 0.05, JSON.stringify(report));
    await using model = await GPT2.load(end.model);
    const values = await model.regress(["ab1", "aaaaaaaaab8"]);
    assert.ok(values[0]! < -0.5 && values[1]! > 0.5, String(values));
    assert.equal(model.labels(), undefined);
    await assert.rejects(model.classify("a"), /fine-tuned for classification, got one for regression/);
  });
});

describe("a GPT2ForSequenceClassification by transformers", () => {
  it("gives the same logits here, with several texts in a run; also with PEFT's adapter", async () => {
    const adapters = { peft: join(CLASSIFIER_FIXTURES, "adapter") };
    await using model = await GPT2.load(join(CLASSIFIER_FIXTURES, "model"), { adapters });
    const logits = async (adapter: string | null) =>
      (await model.classify(classifierTexts(), { adapter })).flatMap(({ scores }) => scores.map((s) => s.logit));
    assertClose("model", await logits(null), expectedOf("model").get("logits")!, { relative: 3e-6 });
    assertClose("adapter", await logits("peft"), expectedOf("adapter").get("logits")!, { relative: 3e-6 });
    assert.deepEqual(model.labels({ adapter: null }), ["negative", "neutral", "positive"]);
    assert.deepEqual(model.labels({ adapter: "peft" }), ["LABEL_0", "LABEL_1", "LABEL_2"], "PEFT keeps no names");
    await using regressor = await GPT2.load(join(CLASSIFIER_FIXTURES, "regressor"));
    const values = await regressor.regress(classifierTexts());
    assertClose("regressor", values, expectedOf("regressor").get("logits")!, { relative: 3e-6 });
  });

  it("is refused by name if it is something else", async () => {
    const source = join(CLASSIFIER_FIXTURES, "model");
    const config = JSON.parse(readFileSync(join(source, "config.json"), "utf8")) as object;
    const cases: [object, RegExp][] = [
      [
        { problem_type: "multi_label_classification" },
        /problem_type: expected single_label_classification or regression/,
      ],
      [{ problem_type: "regression" }, /problem_type: expected regression with 1 output, not 3/],
      [{ id2label: { 0: "a", 1: "b" } }, /id2label: expected a name for each of 3 outputs/],
      [{ id2label: { 0: "a", 1: "b", 2: 3 } }, /id2label/],
    ];
    for (const [i, [fields, pattern]] of cases.entries()) {
      const folder = join(dir, `refused-${i}`);
      await convertModel(source, folder);
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...fields }));
      await assert.rejects(
        openCheckpoint(folder),
        (error: Error) => error instanceof ConfigError && pattern.test(error.message),
      );
    }
  });
});

describe("texts with labels", () => {
  it("are refused without a label, naming file and line", async () => {
    const cases: [name: string, lines: object[], expected: RegExp][] = [
      ["no text", [{ label: "a" }], /no text.jsonl, line 1: expected a "text", got the fields label/],
      ["no label", [{ text: "x", label: "a" }, { text: "y" }], /line 2: expected a "label", got none/],
      ["number", [{ text: "x", label: 0.5 }], /a name as "label", got 0.5. .*--task regress/],
      ["empty", [{ text: "", label: "a" }], /"text" with something in it/],
      [
        "one",
        [
          { text: "x", label: "a" },
          { text: "y", label: "a" },
        ],
        /expected two labels or more, got a alone/,
      ],
    ];
    for (const [name, lines, expected] of cases) {
      const data = jsonl(`${name}.jsonl`, lines);
      const refused = run({ data, valFraction: 0, out: newFolder() });
      await assert.rejects(refused, (error: Error) => error instanceof DataError && expected.test(error.message), name);
    }
    const val = [jsonl("val.jsonl", [{ text: "x", label: "other" }])];
    await assert.rejects(
      run({ data: jsonl("words4.jsonl", WORDS), val, out: newFolder() }),
      /held-out texts with labels of the others: .*got other/,
    );
  });

  it("belong to their task: a folder made for one cannot be used for another", async () => {
    const out = newFolder();
    const data = jsonl("words5.jsonl", WORDS);
    await run({ data, out, settings: { steps: 1 } });
    rmSync(join(out, "model"), { recursive: true });
    rmSync(join(out, "checkpoints"), { recursive: true });
    await assert.rejects(run({ data, out, task: "regress" }), (error: Error) => {
      return error instanceof UsageError && /made for regression, got data made for classification/.test(error.message);
    });
  });

  it("have names, integers or booleans as labels", () => {
    const line = (label: unknown) => ({ record: { text: "x", label } as never, file: 0, where: "a" });
    const read = (label: unknown) => labelledLine(line(label), "classification").label;
    assert.deepEqual([read("a"), read(3), read(false), read(null)], ["a", "3", "false", undefined]);
    assert.equal(labelledLine(line(2.5), "regression").label, 2.5);
    assert.throws(() => labelledLine(line("2"), "regression"), DataError);
    assert.equal(labelledLine(line({}), undefined).label, undefined);
  });
});

it("accuracy and F1 are scikit-learn's", () => {
  // sklearn.metrics.classification_report([0,0,0,1,1,2,2,2,2], [0,0,1,1,2,2,2,2,0]), of four labels.
  const [expected, given] = [
    [0, 0, 0, 1, 1, 2, 2, 2, 2],
    [0, 0, 1, 1, 2, 2, 2, 2, 0],
  ];
  const report = classificationReport(
    ["a", "b", "c", "never"],
    expected.map((e, i) => [e, given[i]!]),
  );
  assert.equal(report.accuracy, 6 / 9);
  const f1 = [2 / 3, 1 / 2, 3 / 4];
  assertClose(
    "F1",
    report.labels.map((l) => l.f1),
    [...f1, 0],
    { relative: 1e-12 },
  );
  assertClose("macro F1", [report.macroF1], [(f1[0]! + f1[1]! + f1[2]!) / 3], { relative: 1e-12 });
  assertClose(
    "precision",
    report.labels.map((l) => l.precision),
    [2 / 3, 1 / 2, 3 / 4, 0],
    { relative: 1e-12 },
  );
  assertClose(
    "recall",
    report.labels.map((l) => l.recall),
    [2 / 3, 1 / 2, 3 / 4, 0],
    { relative: 1e-12 },
  );
  assert.deepEqual(
    regressionReport([
      [1, 2],
      [3, 0],
    ]),
    { texts: 2, meanSquaredError: 5, meanAbsoluteError: 2 },
  );
});
