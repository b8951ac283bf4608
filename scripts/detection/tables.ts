import { SCORES, type ScoreName } from "../../src/misuse/detect/scores.js";
import type { Figures, Row } from "../evaluate-detectors.js";
import { markdownTable } from "../markdown-block.js";
import { EDITS, type Edit } from "../word-edits.js";
import type { ClassifierRow } from "./classifiers.js";
import type { Measured, Separation } from "./curves.js";

/** Names of the edits in tables. */
export const EDIT_NAMES: Readonly<Record<Edit, string>> = {
  delete: "deleted",
  insert: "inserted",
  swap: "swapped with the next",
  paraphrase: "replaced by a synonym",
};

/**
 * The figures as tables of Markdown.
 *
 * @param heads fine-tuned detectors
 */
export function detectionTables(figures: Figures, heads: readonly ClassifierRow[]): string {
  const { program, model, observer, texts, rows, calibrated, classifier } = figures;
  const whole = rows.filter(({ tokens, edit }) => tokens === undefined && edit === undefined);
  const names = (Object.keys(SCORES) as ScoreName[]).filter((name) => whole.some((row) => row.separations[name]));
  const closest: readonly ScoreName[] = names.filter((name) => name === "curvature" || name === "binoculars");
  const classifiers = [...classifier, ...heads];
  const observed = observer === undefined ? "" : `, with \`${observer}\` as the observer for Binoculars`;
  return [
    `${program}; scored by ${model}${observed}; up to ${texts} human and ${texts} machine texts per row; 95% intervals by bootstrap.`,
    "AUROC of the scores, whole texts:",
    markdownTable(
      [...ABOUT, ...names.map((name) => SCORES[name].name)],
      whole.map((row) => [...about(row), ...names.map((name) => areaCell(row.separations[name]))]),
    ),
    "True positives at 1% and at 5% false positives, whole texts:",
    markdownTable(
      [...ABOUT, ...closest.flatMap((name) => [1, 5].map((rate) => `${SCORES[name].name}, ${rate}%`))],
      whole.map((row) => [...about(row), ...closest.flatMap((name) => shareCells(row.separations[name]))]),
    ),
    "Curvature by length (the first tokens of each text):",
    markdownTable(
      [...ABOUT, "tokens", ...MEASURES],
      rows
        .filter(({ tokens, separations: { curvature } }) => tokens !== undefined && enough(curvature))
        .map((row) => [...about(row), String(row.tokens), ...cells(row.separations.curvature)]),
    ),
    `Curvature after edits of a share of the machine's words, AUROC and true positives at 5% false positives (whole texts, ${editedTexts(rows)} of them; synonyms from WordNet 3.0, whatever the sense; where too few words have a synonym, all words that have one are replaced):`,
    editTable(rows),
    "Human texts that the default calibration (held-out books) gives a rate of 5% or less by curvature; in its own domain 5% is to be expected:",
    markdownTable(
      ["domain", "texts", "share"],
      calibrated.map(({ domain, texts: n, share }) => [domain, String(n), `${(100 * share).toFixed(1)}%`]),
    ),
    "Classifiers trained on texts of one generator (60% of them, from its samplers in turn) and tested on other texts of each generator:",
    markdownTable(
      ["detector", "trained on", "tested on", ...MEASURES],
      classifiers
        .filter(({ edit }) => edit === undefined)
        .map(({ detector, trained, tested, separation }) => [detector, trained, tested, ...cells(separation)]),
    ),
    "The same after edits of the machine's words, trained and tested on the same generator:",
    markdownTable(
      ["detector", "generator", "words", "share", ...MEASURES],
      classifiers.flatMap(({ detector, trained, edit, share, separation }) =>
        edit ? [[detector, trained, EDIT_NAMES[edit], `${100 * share!}%`, ...cells(separation)]] : [],
      ),
    ),
  ].join("\n\n");
}

const ABOUT = ["domain", "generator", "sampling"];
const about = ({ domain, generator, sampling }: Row): string[] => [domain, generator, sampling];

const MEASURES = ["AUROC", "TPR at 1% FPR", "TPR at 5% FPR"];

/** Whether there are enough texts of a length. */
const enough = (found: Separation | undefined): boolean =>
  found !== undefined && found.machine > 20 && found.human > 20;

/** AUROC, and true positives at 5%, by the share of edited words. */
function editTable(rows: readonly Row[]): string {
  const of = rows.filter(({ edit }) => edit !== undefined);
  const shares = [...new Set(of.map(({ share }) => share!))];
  const keys = of.map((row) => [...about(row), row.edit].join());
  const groups = [...new Set(keys)].map((key) => of.filter((_, i) => keys[i] === key));
  return markdownTable(
    [...ABOUT, "words", ...shares.map((share) => `${100 * share}%`)],
    groups.map((group) => {
      const found = shares.map((share) => group.find((row) => row.share === share)?.separations.curvature);
      const both = found.map((each) => each && `${areaCell(each)}; ${shareCell(each.truePositives5)}`);
      return [...about(group[0]!), EDIT_NAMES[group[0]!.edit!], ...both.map((cell) => cell ?? "")];
    }),
  );
}

const editedTexts = (rows: readonly Row[]): number =>
  rows.find(({ edit }) => edit === EDITS[0])?.separations.curvature?.machine ?? 0;

const cells = (found: Separation | undefined): string[] => [areaCell(found), ...shareCells(found)];

const areaCell = (found: Separation | undefined): string => (found ? cell(found.auroc, (x) => x.toFixed(3)) : "");

const shareCells = (found: Separation | undefined): string[] =>
  [found?.truePositives1, found?.truePositives5].map((share) => (share ? shareCell(share) : ""));

const shareCell = (share: Measured): string => cell(share, (x) => `${(100 * x).toFixed(1)}%`);

const cell = ({ value, interval: { low, high } }: Measured, format: (x: number) => string): string =>
  `${format(value)} (${format(low)}–${format(high)})`;
