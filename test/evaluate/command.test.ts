/** gpt2 eval and gpt2 reproduce, run as users run them. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { gptNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { TASKS } from "../../src/evaluate/registry.js";
import type { EvaluationReport } from "../../src/evaluate/report-file.js";
import type { FigureComparison } from "../../src/evaluate/reproduce.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { gpt2Process, gpt2 as runCommand } from "../cli/run.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { DATA, smallTokenizer } from "./support.js";

const CONFIG = gpt2Config({ vocabSize: 500, nCtx: 64, nEmbd: 16, nLayer: 1, nHead: 2 });
const dir = mkdtempSync(join(tmpdir(), "gpt2-eval-"));
const model = join(dir, "model");
const flags = ["--model", model, "--data", DATA];
const PARALLEL = { concurrency: 3 };

/** Nothing is fetched, and no earlier download is found. */
const ENV = { HF_HUB_OFFLINE: "1", XDG_CACHE_HOME: dir };
const gpt2 = (args: readonly string[]) => runCommand(args, "", ENV);

before(async () => {
  const tensors = [...seededTensors(CONFIG, 4)].map(([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(model, { config: CONFIG, tensors });
  await saveTokenizer(await smallTokenizer(CONFIG.vocabSize), model);
});
after(() => rmSync(dir, { recursive: true }));

describe("gpt2 eval", PARALLEL, () => {
  it("prints a table, and with --json writes a report", async () => {
    const json = join(dir, "out.json");
    const { stdout, stderr, status } = await gpt2(["eval", "lambada", "wikitext-2:plain", ...flags, "--json", json]);
    assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
    assert.match(stdout, /^task +metric +value +95% interval +items +paper, 117M\n/);
    assert.match(stdout, /\nlambada +accuracy +\d+\.\d\d +\d+\.\d\d – \d+\.\d\d +24 +45\.99\n/);
    assert.match(stdout, /\nwikitext-2:plain +perplexity per word +/);
    const report = JSON.parse(readFileSync(json, "utf8")) as EvaluationReport;
    assert.match(report.program, /^gpt2-ts \d/);
    assert.deepEqual(
      [report.model.config.nCtx, report.model.files.map(({ file }) => file)],
      [64, ["config.json", "model.safetensors"]],
    );
    assert.deepEqual(
      report.results.map(({ spec, version, outcomes }) => [spec, version, outcomes.length]),
      [
        ["lambada", 1, 24],
        ["wikitext-2:plain", 1, report.results[1]!.items],
      ],
    );
    assert.equal(existsSync(`${json}.partial`), false, "what is kept for resuming is gone when all is done");
  });

  it("evaluates a GPT-Neo with likelihoods and generated answers, beyond its local window", async () => {
    const config = gptNeoConfig({ vocabSize: 500, nCtx: 64, nEmbd: 16, nLayer: 2, nHead: 2, windowSize: 8 });
    const neo = join(dir, "neo");
    const tensors = [...seededTensors(config, 4)].map(([{ name, shape }, data]) => ({ name, shape, data }));
    await saveCheckpoint(neo, { config, tensors });
    await saveTokenizer(await smallTokenizer(config.vocabSize), neo);
    const json = join(dir, "neo.json");
    const tasks = ["lambada", "wikitext-2:plain"];
    const { status, stderr } = await gpt2(["eval", ...tasks, "--model", neo, "--data", DATA, "--json", json]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    const { model, results } = JSON.parse(readFileSync(json, "utf8")) as EvaluationReport;
    assert.equal(model.config.architecture, "gpt-neo");
    assert.deepEqual(
      results.map(({ spec, items, outcomes }) => [spec, items > 0 && outcomes.length === items]),
      tasks.map((spec) => [spec, true]),
    );
  });

  it("writes the report to a pipe or an open file, without replacing it", async () => {
    const fifo = join(dir, "fifo");
    if (spawnSync("mkfifo", [fifo]).status !== 0) return;
    const reader = spawn("cat", [fifo], { stdio: ["ignore", "pipe", "inherit"] });
    const [{ status }, report] = await Promise.all([
      gpt2(["eval", "lambada", ...flags, "--limit", "2", "--json", fifo]),
      text(reader.stdout),
    ]);
    assert.equal(status, 0);
    assert.equal((JSON.parse(report) as EvaluationReport).results[0]!.items, 2);
    assert.ok(lstatSync(fifo).isFIFO());
    const { stdout } = await gpt2Process(
      ["eval", "lambada", ...flags, "--limit", "2", "--json", "/dev/stdout"],
      "",
      ENV,
    );
    assert.match(stdout, /"program":"gpt2-ts/);
    assert.match(stdout, /^task +metric/m);
  });

  it("continues with --resume from the journal", { skip: LIKE_OTHERS }, async () => {
    const json = join(dir, "resumed.json");
    const args = ["eval", "lambada:normalized", ...flags, "--json", json];
    assert.equal((await gpt2(args)).status, 0);
    const first = JSON.parse(readFileSync(json, "utf8")) as EvaluationReport;
    // The journal before the second task is done: the first task's outcomes, marked here to recognize them.
    const { spec, version, items, files, outcomes } = first.results[0]!;
    const key = [...first.model.files.map(({ sha256 }) => sha256), "as stored"].join(" ");
    const marked = outcomes.map((outcome) => ({ ...outcome, greedy: true }));
    mkdirSync(`${json}.partial`);
    const journal = [{ model: key, spec, version, items, files }, marked].map((line) => `${JSON.stringify(line)}\n`);
    writeFileSync(join(`${json}.partial`, "lambada_normalized.jsonl"), journal.join(""));
    const { stdout } = await gpt2([...args, "--resume"]);
    assert.match(stdout, /accuracy +100\.00/);
    const { stderr, status } = await gpt2(["eval", "lambada", ...flags, "--resume"]);
    assert.equal(status, 2);
    assert.match(stderr, /--resume: expected --json FILE/);
  });

  it("prints finished tasks when a later one fails", async () => {
    const { stdout, stderr, status } = await gpt2(["eval", "winograd", "enwik8", ...flags]);
    assert.equal(status, 1);
    assert.match(stdout, /\nwinograd +accuracy, partial scoring +\d+\.\d\d /);
    assert.match(stderr, /data set enwik8/);
  });

  it("takes files of the user's", async () => {
    const file = packageFile("test/fixtures/text/looking-glass.txt");
    const { stdout } = await gpt2(["eval", `${file}:stride=32`, ...flags, "--limit", "3"]);
    assert.match(stdout, /bits per byte +\d\.\d{3}/);
    assert.match(stdout, / 3 of \d+/);
  });

  it("lists its tasks", async () => {
    const { stdout } = await gpt2(["eval", "--list"]);
    for (const { name } of TASKS) assert.ok(stdout.includes(`${name}: `), name);
  });

  it("reports wrong calls and missing data", async () => {
    const calls: readonly (readonly [args: readonly string[], message: RegExp, code: number])[] = [
      [[], /expected tasks, got none/, 2],
      [["nothing"], /task: expected one of lambada/, 2],
      [["lambada:x"], /option of lambada/, 2],
      [["lambada", "--limit", "0"], /--limit: expected a positive integer/, 2],
      [
        ["lambada", "--data", "/nowhere"],
        /lambada\/lambada_test\.jsonl in \/nowhere, or the cache, got none of them/,
        1,
      ],
      [
        ["lambada", "--json", join(model, "config.json", "out.json")],
        /writing .*out\.json: expected to write there, got a path that runs through a file/,
        1,
      ],
    ];
    for (const [args, message, code] of calls) {
      const { stderr, status, stdout } = await gpt2([
        "eval",
        ...args,
        ...(args.includes("--data") ? flags.slice(0, 2) : flags),
      ]);
      assert.deepEqual([status, stdout], [code, ""], stderr);
      assert.match(stderr, message);
      assert.ok(!stderr.includes("    at "), "no stack trace");
    }
  });
});

describe("gpt2 reproduce", PARALLEL, () => {
  it("prints the paper's figures beside ours, and evaluations not run", async () => {
    const { stdout, stderr, status } = await gpt2([
      "reproduce",
      "ptb",
      "lambada",
      "winograd",
      ...flags,
      "--limit",
      "2",
    ]);
    assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
    assert.match(stdout, /^The paper has no model of this size; its figures for 117M are shown\./);
    assert.match(stdout, /\nPTB perplexity +ptb.*, perplexity per .* 65\.85 +\d/);
    assert.match(stdout, /\nWinograd accuracy .* 1542M: 70\.70 /);
    assert.match(
      stdout,
      /Not run, for want of data:\n {2}lambada:original lambada:detokenized\n {4}It is published at /,
    );
    assert.doesNotMatch(stdout, /WikiText/);
  });

  it("writes comparisons, and evaluations not run, with --json", async () => {
    const json = join(dir, "reproduce.json");
    const { status } = await gpt2(["reproduce", "winograd", "enwik8", ...flags, "--limit", "3", "--json", json]);
    assert.equal(status, 0);
    const report = JSON.parse(readFileSync(json, "utf8")) as EvaluationReport;
    const [{ figure, paper, candidates, nearest }] = report.comparisons as [FigureComparison];
    assert.deepEqual([figure.name, (100 * paper).toFixed(1), candidates.length], ["Winograd accuracy", "70.7", 2]);
    assert.ok(report.results[0]!.metrics.some(({ name, value }) => name === nearest.metric && value === nearest.value));
    assert.deepEqual(Object.keys(report.notRun!), ["enwik8"]);
  });

  it("knows its tasks", async () => {
    const { stderr, status } = await gpt2(["reproduce", "hellaswag", ...flags]);
    assert.equal(status, 2);
    assert.match(stderr, /some of lambada, cbt-cn/);
  });
});
