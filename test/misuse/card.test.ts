import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { dataSources, humanDocuments } from "../../scripts/release-figures/sources.js";
import { DataError } from "../../src/errors.js";
import { type AboutModel, checkAbout } from "../../src/misuse/card/about.js";
import { type ModelFacts, modelCard } from "../../src/misuse/card/card.js";
import { gatherResults } from "../../src/misuse/card/results.js";
import { gpt2 } from "../cli/run.js";

const folder = await mkdtemp(join(tmpdir(), "gpt2-card-"));
after(() => rm(folder, { recursive: true, force: true }));

const FACTS: ModelFacts = {
  name: "small",
  architecture: "GPT-2",
  config: { nLayer: 2, nEmbd: 64, nHead: 2, nCtx: 128, vocabSize: 1000 },
  parameters: 170_000,
  dtype: "f32",
  bytes: 680_000,
  format: "Hugging Face",
  files: [{ file: "model.safetensors", sha256: "ab12" }],
  events: [],
};
const INTERVAL = { low: 0.25, high: 0.75 };
const EVALUATION = {
  results: [
    {
      spec: "lambada:raw",
      items: 100,
      metrics: [{ name: "accuracy", scale: "percent", better: "higher", value: 0.5, interval: INTERVAL, items: 100 }],
    },
  ],
};
const EXTRACTION = {
  targetTokens: 50,
  passages: 1000,
  rates: [{ promptTokens: 10, passages: 1000, extractable: 2, rate: 0.002, interval: [0.0005, 0.0073] }],
};
const BIAS = {
  requests: 2,
  probes: [{ positive: "he | she", difference: { value: 1, interval: INTERVAL }, positiveShare: 1 }],
};
const FIGURES = {
  rows: [
    {
      domain: "books",
      generator: "default",
      sampling: "top-k 40",
      separations: {
        curvature: { auroc: { value: 0.9, interval: INTERVAL }, truePositives5: { value: 0.5, interval: INTERVAL } },
      },
    },
  ],
};
const WATERMARKS = {
  watermarks: [
    { scheme: "none", texts: 50 },
    {
      scheme: "gumbel",
      texts: 50,
      byLength: [{ length: 100, text: { "0.01": 0.98, "0.001": 0.9 } }],
      human: { passages: 10_000, found: { "0.01": 0.0092, "0.001": 0 } },
    },
  ],
};
const file = (value: unknown) => ({ path: "x.json", value: JSON.parse(JSON.stringify(value)) });

/** The section under a heading, up to the next of its level or above. */
function section(card: string, title: string): string {
  const start = card.indexOf(`# ${title}\n`);
  assert.ok(start >= 0, title);
  return card
    .slice(start + title.length + 3)
    .split(/\n#+ /)[0]!
    .trim();
}

test("missing facts are shown as not known, and nothing is invented", () => {
  const card = modelCard(FACTS, {}, gatherResults([]));
  for (const title of ["Factors", "Metrics", "Evaluation data", "Training", "Ethical considerations"]) {
    assert.equal(section(card, title), "Not known.", title);
  }
  assert.match(section(card, "Intended use"), /^Not known\.\n\nOut of scope: Not known\.$/);
  for (const title of [
    ...["Evaluations", "Training text that the model reproduces", "Finding its watermark"],
    "Differences between groups of people",
  ]) {
    assert.equal(section(card, title), "Not known.", title);
  }
  assert.match(card, /\| parameters \| 170,000 \|/);
  assert.match(card, /\| SHA-256 \| model\.safetensors ab12 \|/);
  assert.match(card, /\n# small\n\n## Model details\n/);
  assert.doesNotMatch(card.split("# small")[0]!, /license|language|model-index/);
});

test("results of other commands are shown with their intervals", () => {
  const results = gatherResults([EVALUATION, EXTRACTION, BIAS, FIGURES, WATERMARKS].map(file));
  const card = modelCard(FACTS, { license: "mit", languages: ["en", "no"] }, results);
  assert.match(section(card, "Evaluations"), /\| `lambada:raw` \| accuracy \| 50\.00 \| 25\.00 [^|]*75\.00 \| 100 \|/);
  assert.match(
    section(card, "Training text that the model reproduces"),
    /\| 10 \| 50 \| 2 of 1,000 \| 0\.20% \| 0\.050% to 0\.73% \|/,
  );
  assert.match(
    section(card, "Differences between groups of people"),
    /\| he \\\| she \| \+1\.000 \| \+0\.250 to \+0\.750 \|/,
  );
  assert.match(
    section(card, "Telling its texts from human texts"),
    /\| books \| default, top-k 40 \| curvature \| 0\.900 \|/,
  );
  const watermarks = section(card, "Finding its watermark");
  assert.match(watermarks, /\| `gumbel` \| 100 \| 50 \| 98\.0% \(89\.5% to 99\.6%\) \| 90\.0% \(78\.6% to 95\.7%\) \|/);
  assert.match(watermarks, /\| `gumbel` \| 10,000 \| 0\.92% \(0\.75% to 1\.1%\) \| 0\.0% \(0\.0% to 0\.038%\) \|/);
  assert.doesNotMatch(watermarks, /none/);
  const metadata = card.split("---\n")[1]!;
  // "no" is a boolean of YAML, and a colon begins a mapping, unless quoted.
  assert.match(metadata, /^language:\n- en\n- "no"\nlicense: mit\n/);
  assert.match(metadata, /\nmodel-index:\n- name: small\n {2}results:\n {2}- task:\n/);
  assert.match(metadata, /name: "lambada:raw"\n/);
});

test("data is listed by source, each with its licence", async () => {
  const dataSources = [
    { source: "Books | tales", license: "CC0 1.0", documents: 1200, bytes: 34_000 },
    { source: "Letters", license: "CC BY 4.0" },
  ];
  const about = checkAbout({ dataSources, library: "transformers" }, "about.json");
  const card = modelCard(FACTS, about, gatherResults([file(EVALUATION)]));
  const data = section(card, "Training data");
  assert.match(data, /^Not known\.\n\nLicences of the data: as the table says\.\n/);
  assert.match(
    data,
    /\| Books \\\| tales \| CC0 1\.0 \| 1,200 \| 34,000 \|\n\| Letters \| CC BY 4\.0 \| Not known\. \|/,
  );
  assert.match(card.split("---\n")[1]!, /^metrics:\n- accuracy\nlibrary_name: transformers\n/);
  const made = (baseModel: string) => modelCard(FACTS, { baseModel }, gatherResults([]));
  assert.match(made("gpt2"), /^base_model: gpt2\n[\s\S]*\| made from \| gpt2 \|/m);
  assert.match(made("none"), /\| made from \| random weights \|/);
  assert.doesNotMatch(made("none"), /base_model/);
  for (const wrong of [{ dataSources: [{ source: "Books" }] }, { dataSources: "Books" }]) {
    assert.throws(() => checkAbout(wrong, "about.json"), DataError);
  }
});

test("sources of the default model's data are summed from the manifests", async () => {
  const folders = ["corpus", "stories"].map((name) => join(folder, name));
  const manifests = [
    "file\tindex\tgroup\tsource\tpath\tbytes\na.gz\t0\tspeeches\tx\ty\t10\nb.gz\t0\tspeeches\tx\ty\t99\na.gz\t1\topenstax\tx\ty\t5\n",
    "file\tindex\tgroup\tsource\tpath\tbytes\tform\tcountry\tlicence\tcredit\nc.gz\t0\taesop\tx\ty\t7\t\t\tpublic domain\t\n",
  ];
  for (const [i, path] of folders.entries()) {
    await mkdir(path);
    await writeFile(join(path, "manifest.tsv.gz"), gzipSync(manifests[i]!));
  }
  const found = dataSources(folders[0]!, folders[1]!, ["a.gz", "c.gz"]);
  assert.deepEqual(
    found.map(({ license, documents, bytes }) => [license, documents, bytes]),
    [
      ["US public domain", 1, 10],
      ["CC BY 4.0", 1, 5],
      ["public domain", 1, 7],
    ],
  );
});

test("documents by language models do not count as people's", async () => {
  const texts = ["One tale.\n\nIts end.", "A fable by a model.", "Another tale."];
  const path = join(folder, "people");
  await mkdir(path);
  await writeFile(join(path, "v.txt.gz"), gzipSync(texts.map((text) => `${text}\n<|endoftext|>\n`).join("")));
  const rows = ["fairytaleqa", "tinyfabulist", "book-dash"].map((group, i) => `v.txt.gz\t${i}\t${group}`);
  await writeFile(
    join(path, "manifest.tsv.gz"),
    gzipSync(["file\tindex\tgroup", ...rows, "w.gz\t0\taesop", ""].join("\n")),
  );
  assert.deepEqual(humanDocuments(path, "v.txt.gz"), [texts[0], texts[2]]);
});

test("files of no known kind, and fields that a card has not, are refused", () => {
  for (const wrong of [null, [], {}, { results: [1] }, { rows: "all" }, { watermarks: [{ scheme: "gumbel" }] }]) {
    assert.throws(() => gatherResults([file(wrong)]), DataError);
  }
  for (const wrong of [null, { licence: "mit" }, { languages: "en" }, { authors: 1 }]) {
    assert.throws(() => checkAbout(wrong, "about.json"), DataError);
  }
  assert.deepEqual(checkAbout({ license: "mit" } satisfies AboutModel, "about.json"), { license: "mit" });
});

test("a run's events fill in the recipe", () => {
  const start = {
    type: "start",
    step: 0,
    trainTokens: 5000,
    epochs: 2.5,
    valTokens: 500,
    backend: "native (AVX2)",
    settings: {
      ...{ optimizer: "adamw", batchTokens: 512, seqLength: 64, lr: 1e-3, minLr: 1e-4, schedule: "cosine" },
      ...{ warmupSteps: 5, weightDecay: 0.1, dropout: 0, seed: 7 },
    },
  };
  const step = { type: "step", step: 20, tokens: 10240, seconds: 3600 };
  const validation = { type: "validation", step: 20, loss: 3.5, tokens: 448, bitsPerByte: 1.25 };
  const events = [start, step, validation] as unknown as ModelFacts["events"];
  const card = modelCard({ ...FACTS, events }, {}, gatherResults([]));
  assert.match(section(card, "Training data"), /5,000 tokens, seen 2\.50 times; 500 are held out\./);
  assert.match(section(card, "Training"), /\| tokens in all \| 10,240 \|/);
  assert.match(section(card, "Training"), /1\.0 hours on native \(AVX2\)/);
  assert.match(section(card, "Training"), /3\.5000 nats per token, 1\.2500 bits per byte/);
});

test("gpt2 card", async () => {
  const about = join(folder, "about.json");
  await writeFile(about, JSON.stringify({ authors: "Ann | Bob", intendedUse: "Tests." }));
  const bias = join(folder, "bias.json");
  await writeFile(bias, JSON.stringify(BIAS));
  await mkdir(join(folder, "cards"));
  const out = join(folder, "cards", "README.md");
  const run = await gpt2(["card", "--results", bias, "--about", about, "--name", "ours", "--out", out]);
  assert.equal(run.status, 0, run.stderr);
  const card = await readFile(out, "utf8");
  assert.match(card, /\n# ours\n/);
  assert.match(card, /\| developed by \| Ann \\\| Bob \|/);
  // detection.json and overlap.json of the model's folder are found.
  assert.match(section(card, "Telling its texts from human texts"), /^False-positive rates are known at 32, /);
  assert.match(section(card, "Overlap of evaluations with the training text"), /LAMBADA/);
  const printed = await gpt2(["card"]);
  assert.match(printed.stdout, /^---\npipeline_tag: text-generation\n/);
  const wrong = await gpt2(["card", "--results", about]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /about\.json/);
});
