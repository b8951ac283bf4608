import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ClassifierRow } from "../../scripts/detection/classifiers.js";
import { detectionTables } from "../../scripts/detection/tables.js";
import type { Figures } from "../../scripts/evaluate-detectors.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";
import { bertFolder } from "../helpers/bert-fixtures.js";

/** The scripts that measure detectors, on few and short texts. */

const folder = await mkdtemp(join(tmpdir(), "gpt2-detection-scripts-"));
after(() => rm(folder, { recursive: true, force: true }));

const TEXTS = 6;
const docs = await Promise.all(
  ["training", "formats", "evaluation"].map((name) => readFile(packageFile(`docs/${name}.md`), "utf8")),
);
const [pairs, human, wordnet] = ["pairs", "human.txt", "wordnet"].map((name) => join(folder, name)) as string[];
await mkdir(pairs!);
await mkdir(wordnet!);
await writeFile(human!, docs.join("\n<|endoftext|>\n"));
// The format of WordNet's files: offset, file, kind, number of lemmas in hexadecimal, then lemma and sense in turn.
for (const part of ["noun", "verb", "adj", "adv"]) {
  await writeFile(join(wordnet!, `data.${part}`), "00000001 03 n 02 model 0 example 0 000 | a gloss\n");
}
const random = new RandomStream(5);
for (const generator of ["squad_gpt2-xl", "writing_opt-2.7b"]) {
  const lines = Array.from({ length: TEXTS }, (_, i) => {
    const human = docs[0]!.slice(500 * i, 500 * i + 500);
    const words = human.split(" ");
    const machine = words.map(() => words[random.below(words.length)]!).join(" ");
    return `${JSON.stringify({ human, machine })}\n`;
  });
  await writeFile(join(pairs!, `${generator}.jsonl`), lines.join(""));
}

/** The JSON that a script writes. */
async function figuresOf<T>(script: string, ...flags: string[]): Promise<T> {
  const out = join(folder, "out.json");
  const given = ["--pairs", pairs!, "--human", `docs=${human}`, "--wordnet", wordnet!, "--work", join(folder, "work")];
  const args = [packageFile(`dist/scripts/${script}.js`), ...given, "--texts", String(TEXTS), ...flags, "--out", out];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return JSON.parse(await readFile(out, "utf8")) as T;
}

test("figures of detection have every set, score, length and edit", async () => {
  const figures = await figuresOf<Figures>(
    "evaluate-detectors",
    "--observer",
    `itself=${packageFile("models/default")}`,
  );
  const whole = figures.rows.filter(({ tokens, edit }) => tokens === undefined && edit === undefined);
  assert.deepEqual(
    whole.map(({ domain, generator, sampling }) => [domain, generator, sampling].join(", ")),
    [
      "squad, gpt2-xl, temperature 1",
      "writing, opt-2.7b, temperature 1",
      ...["temperature 1", "top-k 40", "top-p 0.9", "temperature 0.7"].map((sampling) => `docs, default, ${sampling}`),
    ],
  );
  for (const { separations } of whole) {
    assert.deepEqual(Object.keys(separations), ["logLikelihood", "logRank", "curvature", "binoculars"]);
    for (const { human: of, machine } of Object.values(separations)) assert.deepEqual([of, machine], [TEXTS, TEXTS]);
  }
  // Words in any order are less likely than the text that they are from.
  assert.ok(whole[0]!.separations.logLikelihood!.auroc.value < 0.3);
  // What a model writes at a low temperature is likely.
  assert.ok(whole.at(-1)!.separations.logLikelihood!.auroc.value > 0.9);
  assert.equal(figures.rows.filter(({ edit }) => edit).length, 2 * 4 * 4);
  assert.equal(figures.rows.filter(({ tokens }) => tokens === 64).length, whole.length);
  assert.deepEqual(
    figures.classifier.filter(({ edit }) => !edit).map(({ trained, tested }) => `${trained} ${tested}`),
    ["gpt2-xl", "opt-2.7b", "default"].flatMap((a) => ["gpt2-xl", "opt-2.7b", "default"].map((b) => `${a} ${b}`)),
  );
  assert.equal(figures.observer, "itself");
  assert.equal(figures.calibrated.length, 3);
  assert.match(detectionTables(figures, []), /\| docs \| default \| top-k 40 \| swapped with the next \| /);
});

for (const [name, flags] of [
  ["a GPT-2", []],
  ["a BERT", ["--model", bertFolder("masked")]],
] as const) {
  test(`figures of ${name} as a detector have every generator`, async () => {
    const rows = await figuresOf<ClassifierRow[]>("evaluate-head", "--detector", name, ...flags);
    const trained = ["gpt2-xl", "default"];
    assert.deepEqual(
      rows.filter(({ edit }) => !edit).map((row) => `${row.detector} ${row.trained} ${row.tested}`),
      trained.flatMap((a) => ["gpt2-xl", "opt-2.7b", "default"].map((b) => `${name} ${a} ${b}`)),
    );
    assert.deepEqual(
      rows.flatMap(({ edit, share, trained: of }) => (edit ? [`${of} ${edit} ${share}`] : [])),
      trained.flatMap((of) => [0.1, 0.3, 0.5].map((share) => `${of} paraphrase ${share}`)),
    );
  });
}
