import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../../src/architectures/gpt2/config.js";
import { meanMetric } from "../../../src/evaluate/metrics/metric.js";
import { buildNgramFilter } from "../../../src/evaluate/overlap/build-filter.js";
import { fileOverlap } from "../../../src/evaluate/overlap/file-overlap.js";
import type { NgramFilter } from "../../../src/evaluate/overlap/ngram-filter.js";
import { measureOverlap, overlapShare, summarizeOverlap } from "../../../src/evaluate/overlap/overlap.js";
import { evaluationOverlap, splitMetrics } from "../../../src/evaluate/overlap/task-overlap.js";
import { lastWords } from "../../../src/evaluate/overlap/words.js";
import { TASKS } from "../../../src/evaluate/registry.js";
import { prepareTask } from "../../../src/evaluate/run.js";
import { type Evaluation, type Outcome, parseTaskSpec } from "../../../src/evaluate/task.js";
import type { Tokenizer } from "../../../src/tokenizer/index.js";
import { packageFile } from "../../../src/util/package-root.js";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { dataSource, smallTokenizer } from "../support.js";
import { babble, naiveOverlap, ngramsOf } from "./naive.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-overlap-"));
after(() => rmSync(dir, { recursive: true }));

const TRAINING = [
  "The quick brown fox jumps over the lazy dog, and then the dog sleeps until the evening comes.",
  "It was the best of times, it was the worst of times, it was the age of wisdom.",
];
const known = new Set(TRAINING.flatMap((text) => ngramsOf(text, 8)));
let filter: NgramFilter;

before(async () => {
  const path = join(dir, "training.txt");
  writeFileSync(path, TRAINING.join("\n<|endoftext|>\n"));
  filter = await buildNgramFilter([path], { workers: 0 });
});

describe("overlap", () => {
  const texts = [
    // The whole text, written differently.
    "the QUICK brown fox -- jumps over “the lazy dog”",
    // Nine words in a row: two of eleven 8-grams.
    "She said that it was the best of times it was the moment she had been waiting for",
    // Seven words in a row make no 8-gram.
    "the quick brown fox jumps over the fence of the garden",
    "too short to have any",
    "",
    TRAINING.join(" "),
  ];

  it("equals that of a Set of strings", () => {
    const measured = texts.map((text) => measureOverlap(filter, [text]));
    assert.deepEqual(
      measured.map(({ ngrams, found }) => ({ ngrams, found })),
      texts.map((text) => naiveOverlap(known, text, 8)),
    );
    assert.deepEqual(
      measured.map(({ ngrams, found }) => [ngrams, found]),
      [
        [2, 2],
        [11, 2],
        [4, 0],
        [0, 0],
        [0, 0],
        [29, 22],
      ],
    );
  });

  it("includes the longest passage", () => {
    const passages = texts.map((text) => measureOverlap(filter, [text]).longest);
    assert.deepEqual(passages.slice(0, 3), [
      { words: 9, text: "the quick brown fox jumps over the lazy dog" },
      { words: 9, text: "it was the best of times it was the" },
      undefined,
    ]);
  });

  it("sums the texts of an item, without n-grams across texts", () => {
    const halves = ["the quick brown fox jumps", "over the lazy dog and then the dog sleeps"];
    assert.deepEqual(measureOverlap(filter, halves).found, 2);
    assert.deepEqual(measureOverlap(filter, [halves.join(" ")]).found, 7);
  });

  it("is summarized by set and by item", () => {
    const summary = summarizeOverlap(texts.map((text) => measureOverlap(filter, [text])));
    const shares = [0, 22 / 29, 2 / 11, 1].sort((a, b) => a - b);
    assert.deepEqual(
      [summary.items, summary.ngrams, summary.found, summary.overlapping, summary.largest],
      [6, 46, 26, 3, 1],
    );
    assert.equal(summary.overlap, 26 / 46);
    assert.ok(Math.abs(summary.mean - shares.reduce((a, b) => a + b) / 4) < 1e-12);
    assert.ok(Math.abs(summary.quantiles.p50 - (shares[1]! + shares[2]!) / 2) < 1e-12);
    const empty = summarizeOverlap([]);
    assert.deepEqual([empty.items, empty.overlap, empty.mean, empty.largest], [0, Number.NaN, Number.NaN, Number.NaN]);
  });
});

describe("overlap of files", () => {
  it("is measured by document, of any length and packing", { skip: LIKE_OTHERS }, async () => {
    const long = `${babble(200_000, 5000, 1)} ${TRAINING[0]} ${babble(30_000, 5000, 2)}`;
    const documents = [TRAINING[1]!, "nothing of it", long, `so: ${TRAINING[0]}`];
    const text = join(dir, "documents.txt");
    const lines = join(dir, "documents.jsonl");
    writeFileSync(text, documents.join("\n<|endoftext|>\n"));
    writeFileSync(lines, documents.map((body) => `${JSON.stringify({ body })}\n`).join(""));
    const expected = documents.map((document) => naiveOverlap(known, document, 8));
    for (const [path, options] of [
      [text, {}],
      [lines, { textField: "body" }],
    ] as const) {
      const overlaps = await fileOverlap([path], filter, options);
      assert.deepEqual(
        overlaps.map(({ ngrams, found }) => ({ ngrams, found })),
        expected,
      );
      assert.equal(overlaps[2]!.longest!.words, 18);
    }
    await assert.rejects(fileOverlap([join(dir, "nowhere")], filter), { code: "ERR_DATA" });
  });
});

describe("overlap of evaluations", () => {
  let tokenizer: Tokenizer;
  before(async () => {
    tokenizer = await smallTokenizer(500);
  });
  const prepare = (spec: string, nCtx = 64): Promise<Evaluation> => {
    const config = gpt2Config({ vocabSize: 500, nCtx, nEmbd: 16, nLayer: 1, nHead: 2 });
    return prepareTask({ tokenizer, endOfText: tokenizer.endOfText, config }, parseTaskSpec(spec, TASKS), dataSource);
  };
  const wordsOf = (evaluation: Evaluation, item: number): string =>
    evaluation
      .texts(item)
      .map((text) => (typeof text === "string" ? text : text.text))
      .join(" | ");

  it("looks up items with the right answer filled in", async () => {
    const cases = [
      ["hellaswag", /^.+: .+ .+/],
      ["blimp", /^[A-Z].* .*\.$/],
      [
        "winograd",
        /^The city councilmen refused the demonstrators a permit because the city councilmen feared violence\.$/,
      ],
      ["nq", /^.+ \| .+/],
      ["wmt14-en-fr", /^.+ \| .+/],
      ["coqa", /^.{100,} \| .+ \| .+/s],
      ["cnn-dm", /^.{100,} \| .+/s],
      ["lambada", /^.{100,}/s],
    ] as const;
    for (const [spec, form] of cases) assert.match(wordsOf(await prepare(spec), 0), form, spec);
    const cbt = wordsOf(await prepare("cbt-cn"), 0);
    assert.ok(!cbt.includes("XXXXX") && cbt.length > 500);
    const right = JSON.parse(
      readFileSync(packageFile("test/fixtures/evaluate/data/hellaswag/hellaswag_val.jsonl"), "utf8").split("\n")[0]!,
    );
    assert.ok(
      wordsOf(await prepare("hellaswag"), 0).endsWith(
        String(right.endings[right.label])
          .replace(/\[.*?\]/g, "")
          .trim(),
      ),
    );
  });

  it("gives every task's items a text", async () => {
    const there = [
      "lambada",
      "cbt-cn",
      "cbt-ne",
      "wikitext-2",
      "ptb",
      "1bw",
      "winograd",
      "coqa",
      "cnn-dm",
      "wmt14-en-fr",
      "nq",
      "hellaswag",
      "blimp",
    ];
    for (const spec of there) {
      const evaluation = await prepare(spec);
      const overlaps = await evaluationOverlap(evaluation, filter);
      assert.equal(overlaps.length, evaluation.items, spec);
      assert.ok(overlaps.reduce((sum, { ngrams }) => sum + ngrams, 0) > 0, spec);
    }
  });

  it("counts every 8-gram of a text once, wherever the model's context cuts it", async () => {
    const totals = new Set<number>();
    for (const nCtx of [16, 64, 200]) {
      const evaluation = await prepare("wikitext-2", nCtx);
      const items = Array.from({ length: evaluation.items }, (_, i) => evaluation.texts(i)[0]!);
      const ngrams = items.flatMap((item) => {
        assert.ok(typeof item !== "string");
        return ngramsOf([...lastWords(item.before, 7), item.text].join(" "), 8);
      });
      const whole = items.map((item) => (typeof item === "string" ? item : item.text)).join("");
      assert.deepEqual(ngrams, ngramsOf(whole, 8));
      const overlaps = await evaluationOverlap(evaluation, filter);
      totals.add(overlaps.reduce((sum, { ngrams }) => sum + ngrams, 0));
    }
    assert.equal(totals.size, 1);
  });

  it("stops on its signal, and reports progress", async () => {
    const evaluation = await prepare("lambada");
    const seen: number[] = [];
    await evaluationOverlap(evaluation, filter, { limit: 5, onProgress: (done, items) => seen.push(done, items) });
    assert.deepEqual(seen, [5, 5]);
    const signal = AbortSignal.abort();
    await assert.rejects(evaluationOverlap(evaluation, filter, { signal }), { name: "AbortError" });
  });
});

describe("metrics", () => {
  it("are recomputed without overlapping items, and on those alone", () => {
    const right = [1, 0, 1, 1, 0, 1];
    const shares = [0, 0, 0.1, 0.5, 0, 0.2];
    const overlaps = shares.map((share) => ({ ngrams: 10, found: 10 * share }));
    const metrics = [
      meanMetric<Outcome>("accuracy", (o) => Number(o.right)),
      meanMetric<Outcome>("even", (o) => (Number(o.i) % 2 ? undefined : 1)),
    ];
    const outcomes = right.map((value, i) => ({ right: value, i }));
    const split = (threshold?: number) =>
      splitMetrics({ metrics }, outcomes, overlaps, threshold).map(({ all, without, overlapping }) =>
        [all, without, overlapping].map(({ value, items }) => [value, items]),
      );
    assert.deepEqual(overlaps.map(overlapShare), shares);
    assert.deepEqual(split(), [
      [
        [4 / 6, 6],
        [1 / 3, 3],
        [1, 3],
      ],
      [
        [1, 3],
        [1, 2],
        [1, 1],
      ],
    ]);
    assert.deepEqual(split(0.2)[0], [
      [4 / 6, 6],
      [3 / 5, 5],
      [1, 1],
    ]);
    assert.deepEqual(split(1)[0]!.slice(1), [
      [4 / 6, 6],
      [Number.NaN, 0],
    ]);
  });
});
