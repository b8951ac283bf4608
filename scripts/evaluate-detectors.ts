/**
 * Measures detectors with one model that scores, on pairs of human and machine texts and on texts that the model writes
 * itself (scripts/release-figures.ts puts the figures into docs/misuse.md):
 *
 *     node dist/scripts/evaluate-detectors.js --pairs DIR --human valid.txt.gz --work WORK --out detection.json
 *
 * DIR holds NAME.jsonl.gz of { "human", "machine" } for each domain and generator, such as squad_gpt2-xl. Sampling of the
 * model's own texts: each begins with the first 30 tokens of a human passage, as those of the pairs do. They are
 * kept in WORK, and reused if they are there.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { listInputs } from "../src/data/inputs.js";
import { readLines } from "../src/data/read-lines.js";
import { GPT2 } from "../src/gpt2.js";
import { fitDetector, PENALTIES } from "../src/misuse/classifier/tfidf-detector.js";
import { falsePositives } from "../src/misuse/detect/calibration.js";
import { calibrationIn } from "../src/misuse/detect/calibration-file.js";
import { readDocuments } from "../src/misuse/detect/documents.js";
import { passagesOf, spread } from "../src/misuse/detect/passages.js";
import { SCORE_NAMES, SCORES, type ScoreName, type Scores, scoresOf } from "../src/misuse/detect/scores.js";
import type { TokenStatistics } from "../src/misuse/detect/token-statistics.js";
import type { SamplingOptions } from "../src/pretrained/sampling-options.js";
import { packageVersion } from "../src/util/package-version.js";
import { RandomStream } from "../src/util/random.js";
import { type Separation, separation } from "./detection/curves.js";
import { EDITS, type Edit, edited } from "./detection/edits.js";

const { values } = parseArgs({
  options: {
    pairs: { type: "string" },
    human: { type: "string", multiple: true },
    model: { type: "string" },
    texts: { type: "string", default: "150" },
    work: { type: "string", default: "detection-work" },
    out: { type: "string", default: "detection-figures.json" },
  },
});

/** Tokens of a passage, and of its beginning that the model continues. */
const [PASSAGE, PROMPT] = [230, 30];
const LENGTHS = [64, 128, 192];
/** Sampling of the model's own texts. */
const SAMPLERS = {
  "temperature 1": { temperature: 1, topK: 0, topP: 1 },
  "top-k 40": { temperature: 1, topK: 40, topP: 1 },
  "top-p 0.9": { temperature: 1, topK: 0, topP: 0.9 },
  "temperature 0.7": { temperature: 0.7, topK: 0, topP: 1 },
} as const;
const PLAIN = { minP: 0, repetitionPenalty: 1 };
const EDIT_SHARES = [0.1, 0.3];
const EDITED = ["squad, gpt2-xl", "books, top-k 40"];
const BATCH = 16;

export interface Figures {
  readonly program: string;
  readonly model: string;
  readonly texts: number;
  readonly rows: readonly Row[];
  /** Shares of human texts whose false-positive rate by the model's calibration is at most 5%. */
  readonly calibrated: readonly { readonly domain: string; readonly texts: number; readonly share: number }[];
  readonly classifier: readonly ClassifierRow[];
}

export interface Row {
  readonly domain: string;
  readonly generator: string;
  /** Tokens of each text that are read; undefined for all. */
  readonly tokens: number | undefined;
  readonly edit: string | undefined;
  readonly separations: Readonly<Partial<Record<ScoreName, Separation>>>;
}

export interface ClassifierRow {
  readonly trained: string;
  readonly tested: string;
  readonly separation: Separation;
}

interface Texts {
  readonly domain: string;
  readonly generator: string;
  readonly human: readonly string[];
  readonly machine: readonly string[];
}

await mkdir(values.work, { recursive: true });
const most = Number(values.texts);
const model = await GPT2.load(values.model);
const tokenizer = model.tokenizer!;
const sets = [...(await pairSets(values.pairs)), ...(await ownSets(values.human))];
const cache = new Map<string, TokenStatistics>();

const rows: Row[] = [];
for (const set of sets) {
  console.error(`${set.domain}, ${set.generator}`);
  for (const tokens of [undefined, ...LENGTHS]) rows.push(await rowOf(set, set.machine, tokens, undefined));
}
for (const set of sets.filter(({ domain, generator }) => EDITED.includes(`${domain}, ${generator}`))) {
  for (const edit of Object.keys(EDITS) as Edit[]) {
    for (const share of EDIT_SHARES) {
      const random = new RandomStream(1);
      const machine = set.machine.map((text) => edited(text, edit, share, random));
      rows.push(await rowOf(set, machine, undefined, `${100 * share}% of ${edit}`));
    }
  }
}
const figures: Figures = {
  program: `gpt2-ts ${packageVersion()}`,
  model: values.model ?? "the default model",
  texts: most,
  rows,
  calibrated: await calibratedRates(),
  classifier: classifierRows(),
};
await writeFile(values.out, `${JSON.stringify(figures, null, 1)}\n`);
await model.dispose();

async function rowOf(set: Texts, machine: readonly string[], tokens: number | undefined, edit: string | undefined) {
  const scoresOfAll = async (texts: readonly string[]): Promise<Scores[]> => {
    const all = await Promise.all(texts.map(statisticsOf));
    const long = all.filter(({ logprobs }) => logprobs.length >= (tokens ?? 1));
    return long.map((of) => scoresOf(of, tokens));
  };
  const [human, machines] = [await scoresOfAll(set.human), await scoresOfAll(machine)];
  const names = SCORE_NAMES.filter((name) => human[0]?.[name] !== undefined);
  const signed = (scores: readonly Scores[], name: ScoreName) => scores.map((of) => SCORES[name].sign * of[name]!);
  const separations = names.map((name) => [name, separation(signed(human, name), signed(machines, name))] as const);
  const { domain, generator } = set;
  return { domain, generator, tokens, edit, separations: Object.fromEntries(separations) };
}

async function statisticsOf(text: string): Promise<TokenStatistics> {
  const kept = cache.get(text);
  if (kept) return kept;
  const { statistics } = await model.detect(text, { calibration: null });
  cache.set(text, statistics);
  return statistics;
}

async function pairSets(folder: string | undefined): Promise<Texts[]> {
  if (folder === undefined) return [];
  const files = readdirSync(folder).filter((file) => /^[^_]+_.*\.jsonl/.test(file));
  const sets: Texts[] = [];
  for (const file of files) {
    const [domain, generator] = basename(file)
      .replace(/\.jsonl.*/, "")
      .split("_") as [string, string];
    const pairs: { human: string; machine: string }[] = [];
    for await (const { record } of readLines(listInputs([join(folder, file)]).files)) {
      pairs.push(record as unknown as { human: string; machine: string });
    }
    const chosen = spread(pairs, most);
    sets.push({ domain, generator, human: chosen.map((p) => p.human), machine: chosen.map((p) => p.machine) });
  }
  return sets;
}

/** Held-out passages, and what the model makes of their beginnings. */
async function ownSets(files: readonly string[] | undefined): Promise<Texts[]> {
  if (files === undefined) return [];
  const documents = await readDocuments(files);
  const passages = documents.flatMap((document) => [...passagesOf(document, tokenizer, PASSAGE)]);
  const chosen = spread(
    passages.filter(({ length }) => length === PASSAGE),
    most,
  ); // the same length as the model's
  const human = chosen.map((ids) => tokenizer.decode(ids));
  const sets: Texts[] = [];
  for (const [generator, sampling] of Object.entries(SAMPLERS)) {
    const file = join(values.work, `${generator.replaceAll(" ", "-")}-${chosen.length}.json`);
    if (!existsSync(file)) await writeFile(file, JSON.stringify(await writeOwn(chosen, sampling)));
    sets.push({ domain: "books", generator, human, machine: JSON.parse(readFileSync(file, "utf8")) as string[] });
  }
  return sets;
}

async function writeOwn(chosen: readonly (readonly number[])[], sampling: SamplingOptions): Promise<string[]> {
  console.error(`writing ${chosen.length} texts, ${JSON.stringify(sampling)}`);
  const machine: string[] = [];
  for (let start = 0; start < chosen.length; start += BATCH) {
    const prompts = chosen.slice(start, start + BATCH).map((ids) => ids.slice(0, PROMPT));
    const options = { ...PLAIN, ...sampling, maxNewTokens: PASSAGE - PROMPT, stopAtEndOfText: false };
    const written = await Promise.all(prompts.map((ids, i) => model.complete(ids, { ...options, seed: start + i })));
    machine.push(...written.map(({ tokens }, i) => tokenizer.decode([...prompts[i]!, ...tokens])));
  }
  return machine;
}

async function calibratedRates(): Promise<Figures["calibrated"]> {
  const calibration = model.path === undefined ? undefined : await calibrationIn(model.path);
  if (!calibration) return [];
  const byDomain = new Map(sets.map(({ domain, human }) => [domain, human]));
  const rates: { domain: string; texts: number; share: number }[] = [];
  for (const [domain, human] of byDomain) {
    const found = await Promise.all(human.map(statisticsOf));
    const known = found.flatMap((of) => falsePositives(calibration, "curvature", of)?.rate ?? []);
    if (known.length === 0) continue;
    rates.push({ domain, texts: known.length, share: known.filter((rate) => rate <= 0.05).length / known.length });
  }
  return rates;
}

/** TF-IDF trained on the first six of ten texts of a generator, tested on the last three of each. */
function classifierRows(): ClassifierRow[] {
  const part = (texts: readonly string[], from: number, to: number) =>
    texts.slice(Math.floor(from * texts.length), Math.floor(to * texts.length));
  const generators = [...new Set(sets.map(({ generator }) => generator))];
  const labelled = (generator: string, from: number, to: number) =>
    sets
      .filter((set) => set.generator === generator)
      .flatMap(({ human, machine }) => [
        ...part(human, from, to).map((text) => ({ text, machine: false })),
        ...part(machine, from, to).map((text) => ({ text, machine: true })),
      ]);
  return generators.flatMap((trained) => {
    const { detector } = fitDetector(labelled(trained, 0, 0.6), labelled(trained, 0.6, 0.7), PENALTIES);
    return generators.map((tested) => {
      const texts = labelled(tested, 0.7, 1);
      const odds = (machine: boolean) =>
        texts.filter((text) => text.machine === machine).map(({ text }) => detector.logOdds(text));
      return { trained, tested, separation: separation(odds(false), odds(true)) };
    });
  });
}
