import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { measureExtractable } from "../../src/misuse/extract/extractable.js";
import { rankSamples } from "../../src/misuse/extract/rank-samples.js";
import { wilsonInterval } from "../../src/misuse/extract/wilson.js";
import { buildIndex } from "../../src/misuse/trace/build-index.js";
import { TokenIndex } from "../../src/misuse/trace/token-index.js";
import { gpt2 } from "../cli/run.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

let folder: string;
let model: GPT2;
let index: TokenIndex;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpt2-extract-"));
  model = await GPT2.load(undefined, { threads: 1 });
  // Text that the model reproduces, because it wrote it greedily, and text that it does not.
  const greedy = await model.complete("The old man", {
    maxNewTokens: 120,
    temperature: 0,
    repetitionPenalty: 1,
    topK: 0,
    minP: 0,
  });
  const foreign = "Zyx wvu tsr qpo nml kji hgf edc ba. ".repeat(6);
  await writeFile(join(folder, "own.txt"), `The old man${greedy.text}`);
  await writeFile(join(folder, "foreign.txt"), foreign);
  const { tokenizer } = model;
  await buildIndex([join(folder, "own.txt"), join(folder, "foreign.txt")], {
    out: join(folder, "index"),
    tokenizer: tokenizer!,
    workers: 0,
  });
  index = await TokenIndex.open(join(folder, "index"));
});

after(async () => {
  index.close();
  await rm(folder, { recursive: true, force: true });
});

test("a passage is extractable exactly if greedy decoding generates it", async () => {
  const report = await measureExtractable(model, index, {
    promptTokens: [5, 20],
    targetTokens: 10,
    passages: 30,
    seed: 3,
  });
  assert.equal(report.rates.length, 2);
  const [, long] = report.rates;
  assert.ok(
    report.rates.every((rate) => rate.extractable < rate.passages),
    JSON.stringify(report.rates),
  );
  assert.ok(long!.extractable >= 1, JSON.stringify(report.rates));
  assert.equal(
    report.byCount.reduce((sum, rate) => sum + rate.passages, 0),
    2 * report.passages,
  );
  const { position, promptTokens } = report.examples[0]!;
  const at = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => index.token(start + i));
  const written = await model.complete(at(position - promptTokens, position), {
    ...{ maxNewTokens: 10, temperature: 0, repetitionPenalty: 1, stopAtEndOfText: false },
  });
  assert.deepEqual(written.tokens, at(position, position + 10));
});

test("impossible options are refused", async () => {
  for (const wrong of [
    { promptTokens: [] },
    { promptTokens: [0] },
    { targetTokens: 0 },
    { passages: 0.5 },
    { promptTokens: [100_000] },
    { targetTokens: 1e9 },
  ]) {
    await assert.rejects(measureExtractable(model, index, wrong), UsageError);
  }
  await assert.rejects(measureExtractable(model, index, { promptTokens: [400], passages: 3 }), UsageError);
  // More passages than the corpus has positions.
  const all = await measureExtractable(model, index, { promptTokens: [10], targetTokens: 2, passages: 1e12 });
  assert.ok(all.passages <= index.length);
});

test("samples ranked by six measures", { skip: LIKE_OTHERS }, async () => {
  const result = await rankSamples(model, index, {
    ...{ samples: 6, maxNewTokens: 40, matchTokens: 3, top: 3 },
    references: { small: model, medium: model },
  });
  assert.deepEqual(Object.keys(result.rankings), ["perplexity", "small", "medium", "zlib", "lowercase", "window"]);
  for (const { scores, longestRun, memorized } of result.samples) {
    assert.equal(memorized, longestRun >= 3);
    // The reference is the model itself.
    assert.ok(Math.abs(scores.small! - 1) < 1e-6 && Math.abs(scores.medium! - 1) < 1e-6);
    assert.ok(scores.window! >= scores.perplexity! - 1e-9, "the best window is no worse than the whole");
  }
  assert.equal(result.memorized, result.samples.filter((sample) => sample.memorized).length);
});

test("Wilson's interval", () => {
  // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  for (const [k, n, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [0, 1000, 0, 0.0038],
    [1, 29, 0.0061, 0.1718],
  ] as const) {
    const [a, b] = wilsonInterval(k, n);
    assert.ok(k > 0 || a === 0, "exactly 0, not what rounding leaves");
    assert.ok(Math.abs(a - low) < 5e-5 && Math.abs(b - high) < 5e-5, `${k} of ${n}: ${a}, ${b}`);
  }
});

test("gpt2 extract", { skip: LIKE_OTHERS }, async () => {
  const run = await gpt2([
    "extract",
    "--index",
    join(folder, "index"),
    "--prompts",
    "5,20",
    "--match",
    "10",
    "--passages",
    "20",
  ]);
  assert.equal(run.status, 0, run.stderr);
  assert.match(
    run.stdout,
    /^20 passages of 10 tokens\n\nin the corpus +prompt +passages +extractable +rate +95% interval\nany +5 +20 /,
  );
  const ranked = await gpt2([
    "extract",
    "--index",
    join(folder, "index"),
    "--rank",
    "--samples",
    "4",
    "--match",
    "3",
    "--json",
  ]);
  assert.equal(ranked.status, 0, ranked.stderr);
  assert.deepEqual(Object.keys(JSON.parse(ranked.stdout).rankings), ["perplexity", "zlib", "lowercase", "window"]);
});
