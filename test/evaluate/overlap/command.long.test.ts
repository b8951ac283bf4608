/** gpt2 overlap, run as users run it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../../src/architectures/gpt2/config.js";
import type { OverlapSet } from "../../../src/cli/overlap/measure.js";
import type { EvaluationReport } from "../../../src/evaluate/report-file.js";
import { saveCheckpoint } from "../../../src/pretrained/node.js";
import { saveTokenizer } from "../../../src/tokenizer/files.js";
import { packageFile } from "../../../src/util/package-root.js";
import { gpt2 as runCommand } from "../../cli/run.js";
import { seededTensors } from "../../helpers/seeded-weights.js";
import { DATA, smallTokenizer } from "../support.js";
import { naiveOverlap, ngramsOf } from "./naive.js";

const CONFIG = gpt2Config({ vocabSize: 500, nCtx: 64, nEmbd: 16, nLayer: 1, nHead: 2 });
const dir = mkdtempSync(join(tmpdir(), "gpt2-overlap-"));
const model = join(dir, "model");
const filter = join(dir, "train.bloom");
const PARALLEL = { concurrency: 3 };

/** Nothing is fetched, and no earlier download is found. */
const gpt2 = (args: readonly string[]) => runCommand(args, "", { HF_HUB_OFFLINE: "1", XDG_CACHE_HOME: dir });

interface Report {
  readonly filter: { readonly n: number; readonly ngrams: number };
  readonly model: string;
  readonly sets: readonly OverlapSet[];
}
const json = async (args: readonly string[]): Promise<Report> => {
  const { stdout, stderr, status } = await gpt2(["overlap", ...args, "--json"]);
  assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
  return JSON.parse(stdout) as Report;
};

/** The training text: three passages of LAMBADA's fixture, half of a fourth, and a book. */
const passages = readFileSync(join(DATA, "lambada/lambada_test.jsonl"), "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => (JSON.parse(line) as { text: string }).text);
const half = passages[9]!.slice(0, passages[9]!.length >> 1);
const texts = [...passages.slice(2, 5), half];
const book = packageFile("test/fixtures/text/looking-glass.txt");
const known = new Set([...texts, readFileSync(book, "utf8")].flatMap((text) => ngramsOf(text, 8)));
const expected = passages.map((text) => naiveOverlap(known, text, 8));

before(async () => {
  const tensors = [...seededTensors(CONFIG, 4)].map(([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(model, { config: CONFIG, tensors });
  await saveTokenizer(await smallTokenizer(CONFIG.vocabSize), model);
  writeFileSync(join(dir, "train.jsonl"), texts.map((body) => `${JSON.stringify({ body })}\n`).join(""));
  const args = ["overlap", "build", join(dir, "train.jsonl"), book, "--field", "body", "--out", filter];
  const { stdout, stderr, status } = await gpt2(args);
  assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
  assert.match(stdout, /^read +[\d,]+ words in 5 documents: [\d,]+ 8-grams, about [\d,]+ distinct\nmade /);
  assert.match(stdout, /; 0 of 1,000,000 random strings\n$/);
});
after(() => rmSync(dir, { recursive: true }));

describe("gpt2 overlap build", PARALLEL, () => {
  it("reports as JSON, and replaces files only with --overwrite", async () => {
    const out = join(dir, "other.bloom");
    const args = ["overlap", "build", book, "--out", out, "--n", "13", "--rate", "1e-4", "--workers", "2", "--json"];
    const made = JSON.parse((await gpt2(args)).stdout);
    const ngrams = ngramsOf(readFileSync(book, "utf8"), 13).length;
    assert.deepEqual([made.n, made.ngrams, made.documents, made.bound, made.hashes], [13, ngrams, 1, 1e-4, 13]);
    assert.ok(made.falsePositiveRate <= 1e-4);
    const { stderr, status } = await gpt2(args);
    assert.equal(status, 2);
    assert.match(stderr, /expected a new file, got an existing file\. Add --overwrite/);
    assert.equal((await gpt2([...args, "--overwrite"])).status, 0);
  });
});

describe("gpt2 overlap", PARALLEL, () => {
  it("prints the overlap of each set", async () => {
    const args = ["overlap", filter, "lambada", book, "--data", DATA, "--show", "2"];
    const { stdout, stderr, status } = await gpt2(args);
    assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
    const found = expected.reduce((sum, item) => sum + item.found, 0);
    assert.match(stdout, /^set +items +8-grams +found +overlap +median item +largest +items with any\n/);
    assert.match(
      stdout,
      new RegExp(`\nlambada +24 +[\\d,]+ +${found} +\\d+\\.\\d\\d% .*100\\.00% +4 \\(16\\.67%\\)\n`),
    );
    assert.match(stdout, /looking-glass\.txt +1 .* 100\.00% /);
    assert.match(stdout, /\nlambada:\n {2}item 3, 100\.00%, \d+ words: .+ …\n {2}item 4, 100\.00%/);
  });

  it("prints items as JSON, equal to a Set of strings", async () => {
    const report = await json([filter, "lambada", "--data", DATA]);
    const [set] = report.sets;
    assert.deepEqual([report.filter.n, report.model, set!.name, set!.kind], [8, "default", "lambada", "task"]);
    assert.deepEqual(
      set!.perItem.map(({ ngrams, found }) => ({ ngrams, found })),
      expected,
    );
    const limited = await json([filter, "lambada", "--data", DATA, "--limit", "3", "--model", model]);
    assert.deepEqual(limited.sets[0]!.perItem, set!.perItem.slice(0, 3));
  });

  it("recomputes metrics from a report of gpt2 eval", async () => {
    const out = join(dir, "eval.json");
    const data = ["--data", DATA];
    assert.equal((await gpt2(["eval", "lambada", "wikitext-2", ...data, "--model", model, "--json", out])).status, 0);
    const { results } = JSON.parse(readFileSync(out, "utf8")) as EvaluationReport;
    const { sets, model: name } = await json([filter, "--results", out, ...data]);
    assert.equal(name, model);
    assert.deepEqual(
      sets.map((set) => [set.name, set.perItem.length]),
      results.map(({ spec, items }) => [spec, items]),
    );
    const loss = (items: readonly number[]) => {
      const logprobs = items.map((i) => Number(results[0]!.outcomes[i]!.logprob));
      return Math.exp(-logprobs.reduce((sum, x) => sum + x, 0) / items.length);
    };
    const all = passages.map((_, i) => i);
    const above = (threshold: number) => all.filter((i) => expected[i]!.found > threshold * expected[i]!.ngrams);
    for (const threshold of [0, 0.9]) {
      const report = await json([filter, "lambada", "--results", out, ...data, "--threshold", `${threshold}`]);
      const perplexity = report.sets[0]!.metrics!.find((metric) => metric.name === "perplexity")!;
      const over = above(threshold);
      assert.equal(over.length, threshold === 0 ? 4 : 3);
      for (const [got, items] of [
        [perplexity.all, all],
        [perplexity.without, all.filter((i) => !over.includes(i))],
        [perplexity.overlapping, over],
      ] as const) {
        assert.equal(got.items, items.length);
        assert.ok(Math.abs(got.value / loss(items) - 1) < 1e-9, `${got.value} ${loss(items)}`);
      }
    }
    const { stdout } = await gpt2(["overlap", filter, "--results", out, ...data, "--threshold", "0.5"]);
    assert.match(stdout, /\nset +metric +all items +items +up to 50\.00% +items +over 50\.00% +items\n/);
  });

  it("evaluates the model with --evaluate", async () => {
    const { sets } = await json([filter, "lambada", "--evaluate", "--data", DATA, "--model", model, "--limit", "6"]);
    const [accuracy] = sets[0]!.metrics!;
    assert.deepEqual([accuracy!.all.items, accuracy!.without.items, accuracy!.overlapping.items], [6, 3, 3]);
  });

  it("looks up samples of a model, reproducibly", async () => {
    const args = [
      filter,
      "--samples",
      "34",
      "--max-tokens",
      "40",
      "--model",
      model,
      "--seed",
      "7",
      "--temperature",
      "1",
    ];
    const [first, again] = await Promise.all([json(args), json(args)]);
    assert.deepEqual(first.sets, again.sets);
    assert.deepEqual([first.sets[0]!.name, first.sets[0]!.kind, first.sets[0]!.items], ["samples", "samples", 34]);
    // The samples of the second group are those of the next seed.
    const flags = ["--samples", "2", "--max-tokens", "40", "--seed", "8", "--temperature", "1", "--model", model];
    const { stdout } = await gpt2([...flags, "--json"]);
    const texts = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { text: string }).text);
    assert.deepEqual(
      first.sets[0]!.perItem.slice(32).map(({ ngrams }) => ngrams),
      texts.map((text) => ngramsOf(text, 8).length),
    );
    writeFileSync(join(dir, "samples.jsonl"), stdout);
    const fromFile = await json([filter, join(dir, "samples.jsonl")]);
    assert.deepEqual(fromFile.sets[0]!.perItem, first.sets[0]!.perItem.slice(32));
  });

  it("reports wrong calls", async () => {
    const text = join(dir, "no-filter.bloom");
    writeFileSync(text, "no filter");
    const report = join(dir, "no-report.json");
    writeFileSync(report, '{"model": {"name": "default"}, "results": [{}]}');
    const other = join(dir, "other.json");
    const result = { task: "lambada", spec: "lambada", version: 1, ofItems: 24, outcomes: [] };
    const files = [{ path: "lambada/lambada_test.jsonl", sha256: "0".repeat(64) }];
    writeFileSync(other, JSON.stringify({ model: { name: model }, results: [{ ...result, files }] }));
    const older = join(dir, "older.json");
    writeFileSync(older, JSON.stringify({ model: { name: model }, results: [{ ...result, version: 0, files }] }));
    const cases: readonly (readonly [args: readonly string[], message: RegExp, code: number])[] = [
      [[], /missing required argument 'filter'/, 2],
      [[filter], /expected tasks or files to look up, --results or --samples/, 2],
      [[filter, "nothing"], /expected a file, or one of lambada.*got nothing/, 2],
      [[filter, "lambada:x", "--data", DATA], /option of lambada/, 2],
      [[filter, "lambada", "--evaluate", "--results", other], /either --results or --evaluate/, 2],
      [[filter, "lambada", "--threshold", "3"], /Not a share from 0 to 1/, 2],
      [[filter, "lambada", "--samples", "x"], /Not a whole number/, 2],
      [[filter, "lambada", "--data", "/nowhere"], /lambada_test\.jsonl in \/nowhere/, 1],
      [[text, book], /a filter of n-grams, got another file/, 1],
      [[join(dir, "absent.bloom"), book], /absent\.bloom: expected a filter/, 1],
      [[filter, "--results", text], /a report made by gpt2 eval --json/, 1],
      [[filter, "--results", report], /every item's outcome/, 1],
      [[filter, "--results", other, "--data", DATA], /SHA-256 of lambada\/lambada_test\.jsonl: expected 0000/, 1],
      [[filter, "--results", older, "--data", DATA], /version of the task: expected 1, got 0/, 1],
      [[filter, "ptb", "--results", other], /expected a result of ptb, got lambada/, 2],
      [["build", book], /required option '-o, --out <file>'/, 2],
      [["build", join(dir, "nowhere.txt"), "--out", join(dir, "x.bloom")], /nowhere\.txt/, 1],
      [["build", book, "--out", join(dir, "no/where/x.bloom")], /no such folder/, 1],
    ];
    for (const [args, message, code] of cases) {
      const { stderr, status, stdout } = await gpt2(["overlap", ...args]);
      assert.deepEqual([status, stdout], [code, ""], stderr);
      assert.match(stderr, message);
      assert.ok(!stderr.includes("    at "), "no stack trace");
    }
  });
});
