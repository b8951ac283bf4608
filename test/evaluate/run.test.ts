import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { reproductionReport } from "../../src/cli/commands/reproduce.js";
import { GPT2Error, TokenizerError, UsageError } from "../../src/errors.js";
import { journalFile } from "../../src/evaluate/journal-file.js";
import { type PaperFigure, paperFigure, paperSize } from "../../src/evaluate/paper.js";
import { TASKS } from "../../src/evaluate/registry.js";
import { compareWithPaper, reproductionSpecs } from "../../src/evaluate/reproduce.js";
import type { RunIdentity, TaskResult } from "../../src/evaluate/run.js";
import { parseTaskSpec } from "../../src/evaluate/task.js";
import { GPT2 } from "../../src/gpt2.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { evaluateOn, memorySource, seededModel, smallTokenizer } from "./support.js";

const CONFIG = gpt2Config({ vocabSize: 600, nCtx: 128, nEmbd: 16, nLayer: 1, nHead: 2 });
const dir = mkdtempSync(join(tmpdir(), "gpt2-evaluate-"));
let model: GPT2;
before(async () => {
  model = await seededModel(CONFIG, 3, await smallTokenizer(CONFIG.vocabSize));
});
after(async () => {
  await model.dispose();
  rmSync(dir, { recursive: true });
});

describe("a run that is stopped and resumed", () => {
  const spec = "wikitext-2:plain,stride=8";
  const journal =
    (path: string, resume: boolean, key = "model") =>
    (identity: RunIdentity) =>
      journalFile(path, identity, key, resume);
  const comparable = ({ seconds: _, secondsPreparing: __, ...result }: TaskResult) => result;

  it("equals an uninterrupted one bit for bit, wherever it was stopped", { skip: LIKE_OTHERS }, async () => {
    const whole = await evaluateOn(model, spec);
    for (const blocks of [1, 2]) {
      const path = join(dir, `${blocks}.jsonl`);
      const controller = new AbortController();
      let calls = 0;
      // Once before the first block, and once after each.
      const onProgress = () => {
        if (calls++ === blocks) controller.abort();
      };
      const stopped = evaluateOn(model, spec, { journal: journal(path, false), onProgress, signal: controller.signal });
      await assert.rejects(stopped, { name: "AbortError" });
      const kept = readFileSync(path, "utf8").split("\n").length - 2;
      assert.equal(kept, blocks);
      // A crash in the middle of a line.
      appendFileSync(path, '[{"document":0,"from":1');
      const seen: number[] = [];
      const resumed = await evaluateOn(model, spec, {
        journal: journal(path, true),
        onProgress: (done) => seen.push(done),
      });
      assert.ok(seen[0]! > 0, "it did not begin at the beginning");
      assert.deepEqual(comparable(resumed), comparable(whole));
      const again = await evaluateOn(model, spec, { journal: journal(path, true) });
      assert.deepEqual(comparable(again), comparable(whole), "nothing left to do");
    }
  });

  it("continues only with the same model, task, limit and data", async () => {
    const path = join(dir, "other.jsonl");
    await evaluateOn(model, spec, { limit: 2, journal: journal(path, false) });
    await assert.rejects(evaluateOn(model, spec, { limit: 2, journal: journal(path, true, "another") }), UsageError);
    await assert.rejects(evaluateOn(model, spec, { limit: 3, journal: journal(path, true) }), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /expected items 3, got items 2\. Without resuming/, "only what differs is named");
      return true;
    });
    await assert.rejects(evaluateOn(model, "ptb", { limit: 2, journal: journal(path, true) }), UsageError);
    writeFileSync(path, "");
    await assert.rejects(evaluateOn(model, spec, { journal: journal(path, true) }), UsageError);
    truncateSync(path, 0);
    rmSync(path);
    assert.equal((await evaluateOn(model, spec, { limit: 2, journal: journal(path, true) })).items, 2);
  });
});

describe("a result", () => {
  it("has the items it is of, the files with their hashes, and intervals around its values", async () => {
    const result = await evaluateOn(model, "winograd", { limit: 7 });
    assert.deepEqual([result.items, result.ofItems, result.outcomes.length], [7, 10, 7]);
    assert.equal(result.files[0]!.path, "wsc273/wsc273.txt");
    assert.match(result.files[0]!.sha256, /^[0-9a-f]{64}$/);
    for (const { value, interval } of result.metrics) assert.ok(interval.low <= value && value <= interval.high);
    assert.deepEqual(JSON.parse(JSON.stringify(result)).outcomes, result.outcomes);
  });

  it("does not depend on the block size", async () => {
    const many = await evaluateOn(model, "blimp:plain");
    const few = await evaluateOn(model, "blimp:plain", { limit: 3 });
    for (const [i, outcome] of few.outcomes.entries()) {
      assert.ok(Math.abs((outcome.good as number) - (many.outcomes[i]!.good as number)) < 1e-3);
    }
  });

  it("needs items", async () => {
    const source = memorySource({ "wikitext-2/test.txt": "", "lambada/lambada_test.jsonl": "\n" });
    for (const spec of ["wikitext-2", "lambada"]) {
      await assert.rejects(evaluateOn(model, spec, { source }), /expected items in .*, got none/);
    }
  });

  it("needs a model with a tokenizer", async () => {
    const bare = new GPT2({ backend: model.backend, config: CONFIG, weights: new Map() });
    await assert.rejects(evaluateOn(bare, "lambada"), TokenizerError);
  });
});

describe("the model's methods", () => {
  it("take text as they take ids, and agree with the score", async () => {
    const { tokenizer } = model;
    const [text, ids] = await model.logLikelihoods([
      { context: "The kitten ", continuation: "slept." },
      { context: tokenizer!.encode("The kitten"), continuation: tokenizer!.encode(" slept.") },
    ]);
    assert.deepEqual(text, ids);
    const { logprob } = await model.score(" slept.", { context: "The kitten" });
    assert.ok(Math.abs(text!.logprob - logprob) < 1e-3);
    const [start] = await model.logLikelihoods([{ context: "", continuation: "The" }]);
    assert.ok(Math.abs(start!.logprob - (await model.score("The")).logprob) < 1e-3);
    await assert.rejects(model.logLikelihoods([{ context: "x", continuation: "" }]), GPT2Error);
  });

  it("generate until a stop, from an empty prompt too, as greedy decoding does", async () => {
    const [a, b] = await model.generateUntil([
      { prompt: "Alice", maxNewTokens: 12 },
      { prompt: "", maxNewTokens: 5 },
    ]);
    const wanted = await model.complete("Alice", { temperature: 0, maxNewTokens: 12 });
    assert.equal(a!.text, wanted.text);
    assert.ok(Math.abs(a!.logprob - wanted.logprobs.reduce((x, y) => x + y, 0)) < 1e-3);
    assert.equal(b!.tokens <= 5, true);
  });
});

describe("the paper's figures", () => {
  it("belong to models of its sizes", () => {
    assert.equal(paperSize(gpt2Config("gpt2")), "117M");
    assert.equal(paperSize(gpt2Config("gpt2-xl")), "1542M");
    assert.equal(paperSize(CONFIG), undefined);
  });

  it("are of metrics that tasks have", async () => {
    for (const spec of ["lambada", "ptb", "winograd", "coqa", "cnn-dm:lead-3", "wmt14-en-fr", "nq", "cbt-cn"]) {
      const { task, options, metrics } = await evaluateOn(model, spec, { limit: 1 });
      assert.ok(
        metrics.some(({ name }) => paperFigure(task, options, name)),
        spec,
      );
    }
    const written = (figure: PaperFigure | undefined, size: "117M" | "1542M") =>
      (100 * figure!.values[size]!).toFixed(2);
    assert.equal(written(paperFigure("lambada", {}, "accuracy"), "117M"), "45.99");
    assert.equal(written(paperFigure("wmt14-fr-en", {}, "BLEU (13a)"), "1542M"), "11.50");
    assert.equal(written(paperFigure("cnn-dm", { summary: "no-hint" }, "ROUGE-2"), "1542M"), "4.03");
  });

  it("are reproduced by existing tasks", () => {
    for (const nCtx of [1024, 128, 1]) {
      for (const spec of reproductionSpecs(nCtx)) assert.ok(parseTaskSpec(spec, TASKS));
    }
  });

  it("are bracketed by our variants", () => {
    const metric = (name: string, value: number) => {
      const interval = { low: value - 0.01, high: value + 0.01 };
      return { name, value, interval, scale: "percent" as const, better: "higher" as const, items: 1 };
    };
    const result = (spec: string, ...values: [string, number][]) =>
      ({
        task: "lambada",
        spec,
        options: {},
        metrics: values.map(([name, x]) => metric(name, x)),
      }) as unknown as TaskResult;
    const results = [
      result("lambada", ["accuracy", 0.3256], ["accuracy by last token", 0.4667], ["perplexity", 40.06]),
      result("lambada:normalized", ["accuracy", 0.35], ["accuracy by last token", Number.NaN]),
    ];
    const [perplexity, accuracy] = compareWithPaper(results, "117M");
    assert.equal(accuracy!.nearest.value, 0.4667);
    assert.deepEqual([accuracy!.below?.spec, accuracy!.below?.value], ["lambada:normalized", 0.35]);
    assert.deepEqual([accuracy!.above?.spec, accuracy!.above?.value], ["lambada", 0.4667]);
    assert.deepEqual([perplexity!.below, perplexity!.above?.value], [undefined, 40.06]);
    const winograd = { ...results[0]!, task: "winograd", metrics: [metric("accuracy, full scoring", 0.6)] };
    const [only] = compareWithPaper([winograd], "117M");
    assert.deepEqual([only!.size, (100 * only!.paper).toFixed(2)], ["1542M", "70.70"]);
    const missing = new Map([
      ["1bw", "published there"],
      ["1bw:plain", "published there"],
    ]);
    const report = reproductionReport(compareWithPaper([...results, winograd], "117M"), "117M", missing).split("\n");
    assert.match(report[2]!, /^LAMBADA accuracy +lambada, accuracy by last token +45\.99 +46\.67 +45\.67 – 47\.67$/);
    for (const line of [
      "  LAMBADA perplexity, 35.13: below the one variant, of which the nearest is 40.06 (lambada, perplexity): none of them explains the difference",
      "  LAMBADA accuracy, 45.99: within the interval of 46.67 (lambada, accuracy by last token)",
      "  1bw 1bw:plain",
    ]) {
      assert.ok(report.includes(line), line);
    }
    const apart = results.map((one) => ({
      ...one,
      metrics: one.metrics.map((m) => ({ ...m, interval: { low: m.value, high: m.value } })),
    }));
    assert.match(
      reproductionReport(compareWithPaper(apart, "117M"), "117M", new Map()),
      /45\.99: between 35\.00 \(lambada:normalized, accuracy\) and 46\.67 \(lambada, accuracy by last token\)/,
    );
    assert.doesNotMatch(reproductionReport(compareWithPaper(apart, "117M"), undefined, missing), /between|explains/);
  });
});
