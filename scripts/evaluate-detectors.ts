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
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { GPT2 } from "../src/gpt2.js";
import { fitDetector, PENALTIES } from "../src/misuse/classifier/tfidf-detector.js";
import { falsePositives } from "../src/misuse/detect/calibration.js";
import { calibrationIn } from "../src/misuse/detect/calibration-file.js";
import { SCORE_NAMES, SCORES, type ScoreName, type Scores, scoresOf } from "../src/misuse/detect/scores.js";
import type { TokenStatistics } from "../src/misuse/detect/token-statistics.js";
import { packageVersion } from "../src/util/package-version.js";
import { RandomStream } from "../src/util/random.js";
import { type Separation, separation } from "./detection/curves.js";
import { EDITS, type Edit, edited } from "./detection/edits.js";
import { ownSets, pairSets, partsOf, type Texts } from "./detection/texts.js";

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

const LENGTHS = [64, 128, 192];
const EDIT_SHARES = [0.1, 0.3];
const EDITED = ["squad, gpt2-xl", "books, top-k 40"];

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

/** A classifier trained on the texts of one generator, tested on those of another. */
export interface ClassifierRow {
  readonly trained: string;
  readonly tested: string;
  readonly separation: Separation;
}

const most = Number(values.texts);
const model = await GPT2.load(values.model);
const { pairs, human: humanFiles, work } = values;
await mkdir(work, { recursive: true });
const sets = [
  ...(pairs ? await pairSets(pairs, most) : []),
  ...(humanFiles ? await ownSets(model, humanFiles, most, work) : []),
];
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

/** TF-IDF, trained on each generator and tested on all. */
function classifierRows(): ClassifierRow[] {
  const generators = [...new Set(sets.map(({ generator }) => generator))];
  return generators.flatMap((trained) => {
    const { train, validation } = partsOf(sets, trained);
    const { detector } = fitDetector(train, validation, PENALTIES);
    return generators.map((tested) => {
      const { test } = partsOf(sets, tested);
      const odds = (machine: boolean) =>
        test.filter((text) => text.machine === machine).map(({ text }) => detector.logOdds(text));
      return { trained, tested, separation: separation(odds(false), odds(true)) };
    });
  });
}
