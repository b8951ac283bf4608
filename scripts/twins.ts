/**
 * Twins: a GPT-2 and a BERT with the same vocabulary, text, layers, width, heads, number of tokens, optimizer and
 * schedule. They differ in the mask, the place of the norms, and the objective. Trains both, measures what each can do,
 * and writes the tables of docs/gpt2-and-bert.md.
 *
 *     node dist/scripts/twins.js --stories DIR --eval DIR --work WORK [--tokens 8e6] [--seeds 1,2,3] [--threads 1]
 *
 * DIR of --stories has stories.txt.gz, simple.txt.gz, valid-stories.txt.gz and valid-simple.txt.gz; DIR of --eval has blimp and
 * sts-b-open. Results in WORK are reused, and an interrupted training resumes. `--only gpt2` makes the parts of one
 * twin (two commands side by side train both), and writes no document. `--share 0.5` evaluates on half of the items.
 * `--sample` tries everything with a few steps and items, in WORK/sample, and writes tables.md there.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { readTokenizerJson } from "../src/tokenizer/tokenizer-json.js";
import { replaceBlock } from "./markdown-block.js";
import { blanksByBert, blanksByGpt2, blanksOf } from "./twins/blanks.js";
import { blimpResult } from "./twins/blimp.js";
import { heldOutSentences, writeTrainingText } from "./twins/corpus.js";
import {
  acceptability,
  fineTuned,
  type LabelledSet,
  type LabelResult,
  onFrozenStates,
  subjects,
} from "./twins/labels.js";
import { cosines, sentencePairs, wordCosines } from "./twins/similarity.js";
import {
  type Compared,
  choiceTable,
  phenomenonTable,
  type TwinResults,
  trainingTable,
  writingTable,
} from "./twins/tables.js";
import {
  BATCH,
  gpt2,
  loadTwin,
  SHAPE,
  TWINS,
  type TwinName,
  trainingOf,
  trainTwin,
  VOCABULARY,
  writeSharedTokenizer,
} from "./twins/twin.js";
import { openings, writtenByBert, writtenByGpt2 } from "./twins/writing.js";

const { values } = parseArgs({
  options: {
    stories: { type: "string" },
    eval: { type: "string" },
    work: { type: "string" },
    tokens: { type: "string", default: "8e6" },
    seeds: { type: "string", default: "1" },
    threads: { type: "string", default: "1" },
    share: { type: "string", default: "1" },
    only: { type: "string" },
    sample: { type: "boolean", default: false },
  },
});
const { stories, eval: evalFolder, only, sample, threads } = values;
if (!stories || !evalFolder || !values.work) {
  console.error(
    "usage: node dist/scripts/twins.js --stories DIR --eval DIR --work DIR [--tokens N] [--seeds N,…] [--threads N] [--share X] [--only gpt2|bert] [--sample]",
  );
  process.exit(2);
}
const work = sample ? join(values.work, "sample") : values.work;
mkdirSync(work, { recursive: true });
const steps = sample ? 8 : Math.ceil(Number(values.tokens) / (BATCH * SHAPE.context));
const share = sample ? 0.04 : Number(values.share);
const part = (count: number): number => Math.ceil(count * share);
const SIZES = { pairs: part(67 * 30), blanks: part(1000), similar: part(1379), openings: part(50) };
const seeds = values.seeds.split(",").map(Number);

// The text, its tokenizer and its tokens, which are the same for both twins.
const text = join(values.work, "train.txt");
writeTrainingText(stories, text);
const tok = join(values.work, "tok");
if (!existsSync(join(tok, "tokenizer.json"))) {
  gpt2("tokenizer", "train", text, "--vocab-size", String(VOCABULARY), "--out", tok);
}
const tokenizerFile = join(values.work, "tokenizer.json");
writeSharedTokenizer(join(tok, "tokenizer.json"), tokenizerFile);
const data = join(values.work, "data");
if (!existsSync(join(data, "dataset.json"))) {
  gpt2("data", text, "--tokenizer", tokenizerFile, "--val-fraction", "0.005", "--out", data);
}
const tokenizer = new Tokenizer(readTokenizerJson(readFileSync(tokenizerFile, "utf8"), tokenizerFile));

const blanks = blanksOf(heldOutSentences(stories, 2), tokenizer).slice(0, SIZES.blanks);
const similar = sentencePairs(evalFolder).slice(0, SIZES.similar);
const given = openings(stories, SIZES.openings);
const sets: readonly LabelledSet[] = [subjects(share), await acceptability(evalFolder, share)];

const wanted = TWINS.filter((name) => only === undefined || only === name);
if (wanted.length === 0) throw new Error(`--only: expected ${TWINS.join(" or ")}, got ${only}`);
for (const seed of seeds) {
  for (const name of wanted) await resultsOf(name, seed);
}
if (wanted.length === TWINS.length) await writeDocument();

async function resultsOf(name: TwinName, seed: number): Promise<TwinResults> {
  const out = join(work, `${name}-${seed}`);
  trainTwin(name, { data, out, seed, steps, threads });
  const folder = join(out, "model");
  const hash = createHash("sha256")
    .update(readFileSync(join(folder, "model.safetensors")))
    .digest("hex")
    .slice(0, 12);
  const results = join(work, `results-${name}-${hash}`);
  mkdirSync(results, { recursive: true });
  const kept = async <T>(part: string, make: () => Promise<T>): Promise<T> => {
    const path = join(results, `${part}.json`);
    if (!existsSync(path)) {
      const started = performance.now();
      writeFileSync(`${path}.new`, JSON.stringify(await make()));
      renameSync(`${path}.new`, path);
      console.log(`${name} ${seed}, ${part}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
    return JSON.parse(readFileSync(path, "utf8")) as T;
  };
  const twin = await loadTwin(name, folder, Number(threads));
  const found = {
    training: await kept("training", async () => trainingOf(out)),
    blimp: await kept("blimp", () => blimpResult(twin, join(evalFolder!, "blimp"), SIZES.pairs)),
    blanks: await kept("blanks", () =>
      twin.name === "gpt2" ? blanksByGpt2(twin.model, blanks) : blanksByBert(twin.model, blanks),
    ),
    cosines: await kept("cosines", () => cosines(twin, similar)),
    writing: await kept("writing", () =>
      twin.name === "gpt2" ? writtenByGpt2(twin.model, given) : writtenByBert(twin.model, given),
    ),
  };
  const byLabels: Record<"fineTuned" | "frozen", Record<string, LabelResult>> = { fineTuned: {}, frozen: {} };
  for (const set of sets) {
    byLabels.frozen[set.name] = await kept(`frozen-${set.name}`, () => onFrozenStates(twin, set));
    byLabels.fineTuned[set.name] = await kept(`fine-tuned-${set.name}`, () =>
      fineTuned(name, folder, set, results, Number(threads)),
    );
  }
  await twin.model.dispose();
  return { ...found, ...byLabels };
}

async function compared(): Promise<Compared> {
  const twins: Record<TwinName, TwinResults[]> = { gpt2: [], bert: [] };
  for (const seed of seeds) for (const name of TWINS) twins[name].push(await resultsOf(name, seed));
  const majority = ({ test }: LabelledSet): number => {
    const labels = [...new Set(test.map(({ label }) => label))];
    return Math.max(...labels.map((label) => test.filter((one) => one.label === label).length)) / test.length;
  };
  return {
    twins,
    judgements: similar.map(({ score }) => score),
    wordCosines: wordCosines(similar),
    majorities: Object.fromEntries(sets.map((set) => [set.name, majority(set)])),
    openings: given,
  };
}

async function writeDocument(): Promise<void> {
  const all = await compared();
  const tables = {
    "twins' training": trainingTable(all),
    "twins' choices": choiceTable(all),
    "twins' grammar": phenomenonTable(all),
    "twins' texts": writingTable(all),
  };
  if (sample) writeFileSync(join(work, "tables.md"), `${Object.values(tables).join("\n\n")}\n`);
  else for (const [name, table] of Object.entries(tables)) replaceBlock("docs/gpt2-and-bert.md", name, table);
}
