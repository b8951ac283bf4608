/**
 * Measures the scores of one model, and TF-IDF with logistic regression, on pairs of human and machine texts and on texts
 * that models of this package write (scripts/release-figures.ts puts the figures into docs/misuse.md):
 *
 *     node dist/scripts/evaluate-detectors.js --pairs DIR --human books=valid.txt.gz --human simple=valid-simple.txt.gz \
 *         --generator small=DIR --observer small=DIR --wordnet DIR --work WORK --out detection.json
 *
 * DIR of --pairs holds NAME.jsonl.gz of { "human", "machine" } for each domain and generator, such as squad_gpt2-xl. The
 * default model, and each --generator, continues the first 30 tokens of human passages by several samplers; the texts are
 * kept in WORK, and reused if they are there. With --observer Binoculars' ratio is measured too.
 */
import { writeFile } from "node:fs/promises";
import { GPT2 } from "../src/gpt2.js";
import { fitDetector, PENALTIES } from "../src/misuse/classifier/tfidf-detector.js";
import { falsePositives } from "../src/misuse/detect/calibration.js";
import { calibrationIn } from "../src/misuse/detect/calibration-file.js";
import { SCORE_NAMES, SCORES, type ScoreName, type Scores, scoresOf } from "../src/misuse/detect/scores.js";
import type { TokenStatistics } from "../src/misuse/detect/token-statistics.js";
import { packageVersion } from "../src/util/package-version.js";
import { RandomStream } from "../src/util/random.js";
import { type ClassifierRow, classifierRows } from "./detection/classifiers.js";
import { type Separation, separation } from "./detection/curves.js";
import { readDetectionFlags } from "./detection/flags.js";
import { DEFAULT_MODEL, generatorsOf, named, partsOf, type Texts } from "./detection/texts.js";
import { EDITS, type Edit, edited } from "./word-edits.js";

const LENGTHS = [64, 128, 192];
const SHARES = [0.1, 0.2, 0.3, 0.5];
/** Maximum number of edited machine texts of a set: every edit is scored separately. */
const MOST_EDITED = 30;

export interface Figures {
  readonly program: string;
  readonly model: string;
  readonly observer: string | undefined;
  readonly texts: number;
  readonly rows: readonly Row[];
  /** Shares of human texts whose false-positive rate by the model's calibration is at most 5%. */
  readonly calibrated: readonly { readonly domain: string; readonly texts: number; readonly share: number }[];
  readonly classifier: readonly ClassifierRow[];
}

export interface Row {
  readonly domain: string;
  readonly generator: string;
  readonly sampling: string;
  /** Tokens of each text that are read; undefined for all. */
  readonly tokens: number | undefined;
  readonly edit: Edit | undefined;
  /** Share of the words to be edited. */
  readonly share: number | undefined;
  readonly separations: Readonly<Partial<Record<ScoreName, Separation>>>;
}

const flags = await readDetectionFlags("evaluate-detectors");
const { sets, sources } = flags;
const model = await GPT2.load(flags.model);
const observing = flags.observer === undefined ? undefined : named(flags.observer);
const observer = observing && (await GPT2.load(observing[1]));
const cache = new Map<string, Promise<TokenStatistics>>();
const edits = EDITS.filter((edit) => edit !== "paraphrase" || sources.synonyms.size > 0);

const rows: Row[] = [];
for (const set of sets) {
  console.error([set.domain, set.generator, set.sampling].join(", "));
  for (const tokens of [undefined, ...LENGTHS]) {
    rows.push({
      ...about(set),
      tokens,
      edit: undefined,
      share: undefined,
      separations: await separations(set, tokens),
    });
  }
}
for (const set of editedSets()) {
  for (const edit of edits) {
    for (const share of SHARES) {
      const machine = set.machine
        .slice(0, MOST_EDITED)
        .map((text, i) => edited(text, edit, share, new RandomStream(i, 3), sources).text);
      const found = await separations({ ...set, machine }, undefined, false);
      rows.push({ ...about(set), tokens: undefined, edit, share, separations: found });
    }
  }
}
const figures: Figures = {
  program: `gpt2-ts ${packageVersion()}`,
  model: flags.model ?? "the default model",
  observer: observing?.[0],
  texts: Number(flags.texts),
  rows,
  calibrated: await calibratedRates(),
  classifier: await tfidfRows(),
};
await writeFile(flags.out, `${JSON.stringify(figures, null, 1)}\n`);
await model.dispose();
await observer?.dispose();

function about({ domain, generator, sampling }: Texts) {
  return { domain, generator, sampling };
}

/** The first set of a foreign generator, and a set of the default model that is easy to detect. */
function editedSets(): Texts[] {
  const own = sets.find(({ generator, sampling }) => generator === DEFAULT_MODEL && sampling === "top-k 40")!;
  return [sets[0]!, own];
}

/** The power of each score to separate the machine's texts, cut to `tokens` tokens, from human texts. */
async function separations(set: Texts, tokens: number | undefined, observed = true): Promise<Row["separations"]> {
  const scoresOfAll = async (texts: readonly string[], withObserver: boolean): Promise<Scores[]> => {
    const all = await Promise.all(texts.map((text) => statisticsOf(text, withObserver)));
    const long = all.filter(({ logprobs }) => logprobs.length >= (tokens ?? 1));
    return long.map((of) => scoresOf(of, tokens));
  };
  const [human, machine] = [await scoresOfAll(set.human, true), await scoresOfAll(set.machine, observed)];
  const names = SCORE_NAMES.filter((name) => [human, machine].every(([first]) => first?.[name] !== undefined));
  const signed = (scores: readonly Scores[], name: ScoreName) => scores.map((of) => SCORES[name].sign * of[name]!);
  return Object.fromEntries(names.map((name) => [name, separation(signed(human, name), signed(machine, name))]));
}

function statisticsOf(text: string, withObserver: boolean): Promise<TokenStatistics> {
  const key = `${withObserver}${text}`;
  let found = cache.get(key);
  if (!found) {
    const options = { calibration: null, observer: withObserver ? observer : undefined };
    found = model.detect(text, options).then(({ statistics }) => statistics);
    cache.set(key, found);
  }
  return found;
}

async function calibratedRates(): Promise<Figures["calibrated"]> {
  const calibration = model.path === undefined ? undefined : await calibrationIn(model.path);
  if (!calibration) return [];
  const byDomain = new Map(sets.map(({ domain, human }) => [domain, human]));
  const rates: { domain: string; texts: number; share: number }[] = [];
  for (const [domain, human] of byDomain) {
    const found = await Promise.all(human.map((text) => statisticsOf(text, true)));
    const known = found.flatMap((of) => falsePositives(calibration, "curvature", of)?.rate ?? []);
    if (known.length === 0) continue;
    rates.push({ domain, texts: known.length, share: known.filter((rate) => rate <= 0.05).length / known.length });
  }
  return rates;
}

/** TF-IDF, trained on each generator and tested on all. */
async function tfidfRows(): Promise<ClassifierRow[]> {
  const all: ClassifierRow[] = [];
  for (const trained of generatorsOf(sets)) {
    const { train, validation } = partsOf(sets, trained);
    const { detector } = fitDetector(train, validation, PENALTIES);
    const tested = { detector: "TF-IDF", trained, score: (texts: readonly string[]) => detector.score(texts) };
    const each = edits.flatMap((edit) => SHARES.map((share) => [edit, share] as const));
    all.push(
      ...(await classifierRows(
        tested,
        sets,
        [sets[0]!.generator, DEFAULT_MODEL].includes(trained) ? each : [],
        sources,
      )),
    );
  }
  return all;
}
