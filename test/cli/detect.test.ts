import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { packageFile } from "../../src/util/package-root.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { gpt2 } from "./run.js";

const folder = await mkdtemp(join(tmpdir(), "gpt2-detect-command-"));
after(() => rm(folder, { recursive: true, force: true }));
const BOOK = packageFile("test/fixtures/text/looking-glass.txt");

test("gpt2 detect: picture, scores with rates, files", async () => {
  const [html, svg] = [join(folder, "page.html"), join(folder, "page.svg")];
  const text = join(folder, "page.txt");
  await writeFile(text, (await readFile(BOOK, "utf8")).slice(0, 2600));
  const run = await gpt2(["detect", text, "--html", html, "--svg", svg, "--observer", packageFile("models/default")]);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^\d{3} tokens, by rank in the model's predictions\ntop 10 /);
  assert.match(
    run.stdout,
    /\ncurvature +-?\d+\.\d{4} +\d+\.\d+% +\d+\.\d+% to \d+\.\d+%\nBinoculars +(0\.9|1\.0)\d{3} +not known\n/,
  );
  assert.match(
    run.stdout,
    /\nHuman texts: .*held-out.*, by the text's first 512 tokens\. .*\nNo score proves who wrote a text\.\n$/,
  );
  assert.match(await readFile(html, "utf8"), /^<!doctype html>/);
  assert.match(await readFile(svg, "utf8"), /^<svg /);
});

test("gpt2 detect - says when a text is too short, and --json has all", async () => {
  const run = await gpt2(["detect", "-", "--json"], "A short text, this.\n");
  assert.equal(run.status, 0, run.stderr);
  const result = JSON.parse(run.stdout);
  assert.equal(result.uncalibrated, "too short");
  assert.deepEqual(result.falsePositives, {});
  assert.equal(result.texts.join(""), "A short text, this.");
  assert.equal(result.ranks.length, result.tokenCount);
  assert.match(result.notes[0], /too short/);
});

test("gpt2 detect --calibrate writes what --calibration reads", { skip: LIKE_OTHERS }, async () => {
  const [human, out] = [join(folder, "human.jsonl"), join(folder, "calibration.json")];
  const paragraphs = (await readFile(BOOK, "utf8")).split(/\n\n/).filter((text) => text.length > 150);
  // Several starts of each paragraph count, so that a small file gives enough passages.
  const texts = paragraphs
    .flatMap((text) => [0, 1, 2, 3, 4].map((i) => text.split(" ").slice(i).join(" ")))
    .slice(0, 120);
  await writeFile(
    human,
    texts.map((text) => `${JSON.stringify({ text: text.replace(/\n/g, " ").slice(0, 200) })}\n`).join(""),
  );
  const made = await gpt2([
    "detect",
    "--calibrate",
    human,
    "--set",
    "Looking-Glass",
    "--passages",
    "100",
    "--out",
    out,
  ]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /: 100 passages of Looking-Glass\n\ntokens +passages\n32 +100\n/);
  const run = await gpt2(["detect", "--calibration", out, "--json"], texts[0]!);
  assert.equal(run.status, 0, run.stderr);
  const { calibration, falsePositives } = JSON.parse(run.stdout);
  assert.equal(calibration.name, "Looking-Glass");
  assert.ok(falsePositives.curvature.rate > 0 && falsePositives.curvature.rate <= 1);
  const wrong = await gpt2(["detect", "--calibrate", human]);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /--out/);
});
