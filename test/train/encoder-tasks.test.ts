/** Fine-tuning a BERT for labels of words, for answers in a text and for labels of pairs; its files; bit-exact resuming. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { bertConfig } from "../../src/architectures/bert/config.js";
import { BERT } from "../../src/bert.js";
import { readLabelled, readLabelledInfo } from "../../src/data/examples/labelled-folder.js";
import { DataError, UsageError } from "../../src/errors.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { WordPieceTokenizer } from "../../src/tokenizer/wordpiece/tokenizer.js";
import { bertVocabulary } from "../../src/tokenizer/wordpiece/vocabulary.js";
import type { EndEvent, TrainEvent } from "../../src/train/events.js";
import { type FinetuneOptions, finetune } from "../../src/train/finetune.js";
import { byteTokenizer } from "../generate/models.js";
import { bertFolder } from "../helpers/bert-fixtures.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { anyBackend, curveOf } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "bert-tasks-"));
const base = join(dir, "base");
const causal = join(dir, "causal");
let folders = 0;
const newFolder = (): string => join(dir, `run-${folders++}`);

const NAMES = ["ada", "bob", "eve"];
const PLACES = ["rome", "oslo", "lima"];
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const TOKENS = [
  ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"],
  ...LETTERS,
  ...[...LETTERS].map((letter) => `##${letter}`),
  ...["lives", "in", "went", "to", "where", "is", ...NAMES, ...PLACES],
];
const CONFIG = bertConfig({
  vocabSize: TOKENS.length,
  nCtx: 32,
  nEmbd: 32,
  nHead: 2,
  nLayer: 1,
  nInner: 64,
  nextSentence: false,
});

function jsonl(name: string, lines: readonly object[]): string {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

/** Sentences about people and places. */
const SENTENCES = Array.from({ length: 72 }, (_, i) => {
  const name = NAMES[i % 3]!;
  const place = PLACES[Math.floor(i / 3) % 3]!;
  const verb = i % 2 === 0 ? ["lives", "in"] : ["went", "to"];
  // Also words of several tokens.
  const before = i % 5 === 0 ? ["zoë", "."] : [];
  const tags = [...before.map(() => "O"), "B-PER", "O", "O", "B-LOC", "I-LOC"];
  return { tokens: [...before, name, ...verb, place, `${LETTERS[i % 26]!}q`], tags };
});

const QUESTIONS = SENTENCES.map(({ tokens }, i) => {
  const context = `${tokens.join(" ")}. 😀 ${NAMES[(i + 1) % 3]!} went to ${PLACES[(i + 1) % 3]!}.`;
  const place = PLACES.find((place) => tokens.includes(place))!;
  const known = i % 4 !== 3;
  const characters = [...context.slice(0, context.indexOf(place))].length;
  return {
    id: `q${i}`,
    question: known ? `where is ${NAMES[i % 3]!}?` : "where is zoe?",
    context,
    answers: { text: known ? [place] : [], answer_start: known ? [characters] : [] },
  };
});

before(async () => {
  const tensors = Array.from(seededTensors(CONFIG, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(base, { config: CONFIG, tensors, wordPiece: new WordPieceTokenizer(bertVocabulary(TOKENS)) });
  const { gpt2Config } = await import("../../src/architectures/gpt2/config.js");
  const config = gpt2Config({ vocabSize: byteTokenizer().vocabSize, nCtx: 24, nEmbd: 16, nHead: 2, nLayer: 1 });
  const own = Array.from(seededTensors(config, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(causal, { config, tensors: own });
  await saveTokenizer(byteTokenizer(), causal);
});
after(() => rmSync(dir, { recursive: true }));

type Options = Partial<FinetuneOptions> & { readonly out: string; readonly stop?: AbortSignal };

async function run({ stop, ...options }: Options, onEvent: (event: TrainEvent) => void = () => {}) {
  const common = options.resume ? {} : { from: base };
  const trainer = await finetune({ backend: await anyBackend(), ...common, ...options });
  const events: TrainEvent[] = [];
  for await (const event of trainer.run(stop)) {
    events.push(event);
    onEvent(event);
  }
  return { events, end: events.at(-1) as EndEvent };
}

const LEARN = { epochs: 15, settings: { lr: 5e-3, patience: 0 } };

describe("a BERT fine-tuned for labels of words", () => {
  let model: string;
  let end: EndEvent;
  before(async () => {
    const data = jsonl("tags.jsonl", SENTENCES);
    ({ end } = await run({ ...LEARN, data, task: "label", valFraction: 0.3, out: newFolder() }));
    model = end.model!;
  });

  it("reports seqeval's scores of held-out texts", () => {
    const { report } = end.best!;
    assert.ok(report && "entities" in report);
    assert.ok(report.f1 > 0.9 && report.accuracy > 0.9, JSON.stringify(report));
    assert.deepEqual(
      report.entities.map(({ type }) => type),
      ["LOC", "PER"],
    );
  });

  it("is a BertForTokenClassification, whose words and entities are found", async () => {
    const json = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual(json.architectures, ["BertForTokenClassification"]);
    assert.deepEqual(json.id2label, { "0": "B-LOC", "1": "B-PER", "2": "I-LOC", "3": "O" });
    await using loaded = await BERT.load(model);
    for (const { tokens, tags } of SENTENCES.slice(0, 20)) assert.deepEqual(await loaded.tagWords(tokens), tags);
    const found = await loaded.tokens("ada lives in oslo bq", { aggregation: "first" });
    assert.deepEqual(
      found.map(({ entity_group, start, end }) => [entity_group, start, end]),
      [
        ["PER", 0, 3],
        ["LOC", 13, 20],
      ],
    );
    const long = Array.from({ length: 40 }, () => "ada");
    await assert.rejects(loaded.tagWords(long), /at most 32 tokens, the model's context/);
    assert.equal((await loaded.tagWords(long, { truncate: true })).length, 30);
  });

  it("has a target at the first token of each word", async () => {
    const out = newFolder();
    const settings = { steps: 1, valEvery: 0 };
    await run({
      data: jsonl("one.jsonl", [{ tokens: ["zoë", "ada"], tags: ["O", "B-PER"] }]),
      task: "label",
      out,
      settings,
    });
    const info = readLabelledInfo(join(out, "data"))!;
    const { tokens, targets } = readLabelled(join(out, "data"), "train", info);
    const texts = Array.from(tokens, (id) => TOKENS[id]);
    assert.deepEqual(texts, ["[CLS]", "z", "##o", "##e", "ada", "[SEP]"]);
    assert.deepEqual([...targets], [-1, 1, -1, -1, 0, -1]);
  });
});

describe("a BERT fine-tuned for answers", () => {
  let model: string;
  let end: EndEvent;
  before(async () => {
    const data = jsonl("questions.jsonl", QUESTIONS);
    const settings = { lr: 1e-2, patience: 0 };
    const options = { epochs: 12, settings, data, task: "answer", valFraction: 0.2 } as const;
    ({ end } = await run({ ...options, out: newFolder() }));
    model = end.model!;
  });

  it("reports how well it finds spans", () => {
    const { report } = end.best!;
    assert.ok(report && "windows" in report && report.windows > 5);
    assert.ok(report.exact > 0.8 && report.f1 >= report.exact, JSON.stringify(report));
  });

  it("is a BertForQuestionAnswering, which answers and says where there is no answer", async () => {
    const json = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual(json.architectures, ["BertForQuestionAnswering"]);
    await using loaded = await BERT.load(model);
    let right = 0;
    for (const { question, context, answers } of QUESTIONS) {
      const found = await loaded.bestAnswers({ question, context });
      const given = found.noAnswer > 0 ? "" : found.answers[0]!.answer;
      if (given === (answers.text[0] ?? "")) right++;
      const [first] = found.answers;
      assert.equal(context.slice(first!.start, first!.end), first!.answer);
      assert.ok(found.answers.length <= 20);
    }
    assert.ok(right > 0.9 * QUESTIONS.length, `${right} of ${QUESTIONS.length}`);
  });

  it("reads SQuAD's own files, long contexts in windows", async () => {
    const paragraphs = QUESTIONS.slice(0, 6).map(({ id, question, context, answers }) => {
      const own = answers.text.map((text, i) => ({ text, answer_start: answers.answer_start[i] }));
      return { context, qas: [{ id, question, answers: own, is_impossible: own.length === 0 }] };
    });
    const path = join(dir, "squad.json");
    writeFileSync(path, JSON.stringify({ version: "v2.0", data: [{ title: "a", paragraphs }] }, null, 1));
    const out = newFolder();
    await run({ data: path, task: "answer", out, settings: { steps: 1, valEvery: 0, seqLength: 20 } });
    const info = readLabelledInfo(join(out, "data"))!;
    assert.deepEqual([info.kind, info.labels], ["spans", ["start", "end"]]);
    assert.ok(info.splits.train.texts > 6 && info.splits.train.longest <= 20, JSON.stringify(info.splits));
    const { tokens, types, starts, targets } = readLabelled(join(out, "data"), "train", info);
    const spans = Array.from({ length: starts.length - 1 }, (_, i) => {
      const [from, to] = [starts[i]! + targets[2 * i]!, starts[i]! + targets[2 * i + 1]!];
      assert.ok(targets[2 * i] === 0 || types[from] === 1);
      return Array.from(tokens.subarray(from, to + 1), (id) => TOKENS[id]).join(" ");
    });
    assert.ok(spans.includes("rome") && spans.includes("[CLS]"), spans.join(", "));
  });
});

it("pairs of texts are classified by both", { skip: LIKE_OTHERS }, async () => {
  const lines = SENTENCES.map(({ tokens }, i) => {
    const other = NAMES[(i + (i % 7 < 3 ? 0 : 1)) % 3]!;
    return { text: tokens.join(" "), pair: `where is ${other}?`, label: tokens.includes(other) ? "same" : "other" };
  });
  const options = { epochs: 15, settings: { lr: 1e-2, patience: 0, valEvery: 0 }, task: "classify" } as const;
  const { end } = await run({ ...options, data: jsonl("pairs.jsonl", lines), out: newFolder() });
  await using loaded = await BERT.load(end.model!);
  const found = await loaded.classify(lines.map(({ text, pair }) => ({ text, pair })));
  const right = found.filter(([best], i) => best!.label === lines[i]!.label).length;
  assert.ok(right > 0.85 * lines.length, `${right} of ${lines.length}`);
});

describe("a LoRA adapter to a BERT", () => {
  it("is refused for a DistilBERT, whose layers PEFT knows by other names", async () => {
    const data = jsonl("distilled.jsonl", SENTENCES);
    const refused = run({ data, task: "label", lora: { rank: 2 }, from: bertFolder("distilled"), out: newFolder() });
    await assert.rejects(refused, /training an adapter: expected a BERT with token types, got a DistilBERT/);
  });

  const settings = { lr: 2e-2, patience: 0 };
  const lora = { rank: 8 };
  for (const [task, lines, files] of [
    ["label", SENTENCES, { task_type: "TOKEN_CLS", modules_to_save: ["classifier", "score"] }],
    ["answer", QUESTIONS, { task_type: "QUESTION_ANS", modules_to_save: ["qa_outputs"] }],
    ["classify", SENTENCES.map(({ tokens }) => ({ text: tokens.join(" "), label: tokens.at(-3)! })), undefined],
  ] as const) {
    const skip = task === "label" ? false : LIKE_OTHERS;
    it(`learns to ${task}, resumes bit for bit, and computes the same folded into the model`, { skip }, async () => {
      const data = jsonl(`lora-${task}.jsonl`, lines);
      const common = { data, task, lora, settings: { ...settings, steps: 40, saveEvery: 20, valEvery: 20 } };
      const [undisturbed, out] = [newFolder(), newFolder()];
      const whole = await run({ ...common, out: undisturbed });
      const stop = new AbortController();
      let steps = 0;
      await run({ ...common, out, stop: stop.signal }, ({ type }) => {
        if (type === "step" && ++steps === 25) stop.abort();
      });
      const { end } = await run({ out, resume: true });
      assert.deepEqual(curveOf(out), curveOf(undisturbed));
      const json = JSON.parse(readFileSync(join(end.adapter!, "adapter_config.json"), "utf8")) as Record<
        string,
        unknown
      >;
      // The pooler has a layer named dense too, which PEFT would adapt.
      const modules = ["query", "key", "value", "output.dense", "intermediate.dense"];
      if (task === "classify") {
        assert.deepEqual(json.target_modules, modules);
        assert.deepEqual(json.modules_to_save, ["classifier", "score", "pooler"]);
      } else {
        for (const [field, value] of Object.entries(files!)) assert.deepEqual(json[field], value, field);
      }
      const weights = readFileSync(join(end.adapter!, "adapter_model.safetensors"));
      assert.deepEqual(weights, readFileSync(join(whole.end.adapter!, "adapter_model.safetensors")));
      await using model = await BERT.load(base, { merge: end.adapter! });
      const report = end.best!.report!;
      assert.ok(whole.end.best!.loss < (whole.events.find(({ type }) => type === "step") as { loss: number }).loss / 2);
      if ("entities" in report) {
        const given = await model.tagWords(SENTENCES[0]!.tokens);
        assert.deepEqual(given, SENTENCES[0]!.tags);
      } else if ("windows" in report) {
        assert.ok((await model.bestAnswers(QUESTIONS[0]!)).answers.length > 0);
      } else {
        const [best] = await model.classify(SENTENCES[0]!.tokens.join(" "));
        assert.ok(PLACES.concat(NAMES, ["in", "to"]).includes(best!.label));
      }
      const merged = join(dir, `merged-${task}`);
      const { convertModel } = await import("../../src/pretrained/convert.js");
      await convertModel(base, merged, { merge: end.adapter! });
      await using other = await BERT.load(merged);
      assert.equal(other.fineTunedFor, model.fineTunedFor);
      assert.deepEqual(other.labels, model.labels);
      assert.deepEqual(await other.embed("ada lives in rome"), await model.embed("ada lives in rome"));
    });
  }
});

describe("runs of an encoder's tasks", () => {
  for (const [task, lines] of [
    ["label", SENTENCES],
    ["answer", QUESTIONS],
  ] as const) {
    it(`resume bit for bit: ${task}`, { skip: task === "answer" ? false : LIKE_OTHERS }, async () => {
      const data = jsonl(`resume-${task}.jsonl`, lines);
      const common = { data, task, settings: { steps: 6, lr: 5e-3, dropout: 0.1, saveEvery: 2, valEvery: 3 } } as const;
      const [undisturbed, out] = [newFolder(), newFolder()];
      const whole = await run({ ...common, out: undisturbed });
      const stop = new AbortController();
      let steps = 0;
      const first = await run({ ...common, out, stop: stop.signal }, ({ type }) => {
        if (type === "step" && ++steps === 3) stop.abort();
      });
      assert.equal(first.end.finished, false);
      const second = await run({ out, resume: true });
      assert.deepEqual(curveOf(out), curveOf(undisturbed));
      const bytes = (model: string) => readFileSync(join(model, "model.safetensors"));
      assert.deepEqual(bytes(second.end.model!), bytes(whole.end.model!));
    });
  }

  it("report what is wrong with their data, and with models that read from left to right", async () => {
    const settings = { steps: 1 };
    const bad = (lines: object[], task: "label" | "answer" | "classify", from = base) =>
      run({ data: jsonl(`bad-${folders}.jsonl`, lines), task, out: newFolder(), settings, from });
    await assert.rejects(bad([{ tokens: ["a"], tags: [] }], "label"), {
      name: DataError.name,
      message: /line 1: expected words, and as many tags, got 1 and 0/,
    });
    await assert.rejects(bad([{ text: "a", label: "b" }], "label"), /expected "tokens" and "tags"/);
    await assert.rejects(
      bad([{ tokens: ["a", 1], tags: ["O", "O"] }], "label"),
      /tokens: expected texts that are not empty/,
    );
    const question = { question: "where?", context: "in rome" };
    await assert.rejects(bad([question], "answer"), /expected "question", "context" and "answers"/);
    const answers = { text: ["rome"], answer_start: [4] };
    await assert.rejects(bad([{ ...question, answers }], "answer"), /answer_start 4: expected "rome" there, got "ome"/);
    await assert.rejects(bad(SENTENCES, "label", causal), {
      name: UsageError.name,
      message: /expected a model that reads whole texts, as a BERT, got a model that reads from left to right/,
    });
    const pair = [{ text: "a", pair: "b", label: "x" }];
    await assert.rejects(bad(pair, "classify", causal), /"text" alone: pairs are for models that read whole texts/);
  });
});
