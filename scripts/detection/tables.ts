import { SCORES, type ScoreName } from "../../src/misuse/detect/scores.js";
import type { ClassifierRow, Figures, Row } from "../evaluate-detectors.js";
import { markdownTable } from "../markdown-block.js";
import type { Measured, Separation } from "./curves.js";

/** The figures as tables of Markdown. */
export function detectionTables(figures: Figures, head: readonly ClassifierRow[]): string {
  const { program, model, texts, rows, calibrated, classifier } = figures;
  const whole = rows.filter(({ tokens, edit }) => tokens === undefined && edit === undefined);
  const lengths = rows.filter(({ tokens }) => tokens !== undefined);
  const edits = rows.filter(({ edit }) => edit !== undefined);
  return [
    `${program}; ${model} scores; up to ${texts} human and ${texts} machine texts a row; 95% intervals by bootstrap.`,
    "Whole texts:",
    scoreTable(whole, ["logLikelihood", "logRank", "curvature"]),
    "Curvature by length, the texts' first tokens:",
    markdownTable(
      ["domain", "generator", "tokens", ...MEASURES],
      lengths.flatMap((row) => measures(row, "curvature", [String(row.tokens)])),
    ),
    "Curvature after edits:",
    markdownTable(
      ["domain", "generator", "edit", ...MEASURES],
      edits.flatMap((row) => measures(row, "curvature", [row.edit!])),
    ),
    "Human texts that the default calibration (held-out books) gives a rate of 5% or less by curvature; in its own domain 5% are to be expected:",
    markdownTable(
      ["domain", "texts", "share"],
      calibrated.map(({ domain, texts: n, share }) => [domain, String(n), `${(100 * share).toFixed(1)}%`]),
    ),
    "TF-IDF trained on the texts of one generator (60% of them), tested on others of another:",
    classifierTable(classifier),
    "The default model fine-tuned on the texts of one generator, tested likewise:",
    classifierTable(head),
  ].join("\n\n");
}

function classifierTable(rows: readonly ClassifierRow[]): string {
  const cellsOf = ({ trained, tested, separation }: ClassifierRow) => [trained, tested, ...cells(separation)];
  return markdownTable(["trained on", "tested on", ...MEASURES], rows.map(cellsOf));
}

const MEASURES = ["AUROC", "TPR at 1% FPR", "TPR at 5% FPR"];

function scoreTable(rows: readonly Row[], names: readonly ScoreName[]): string {
  return markdownTable(
    ["domain", "generator", "score", ...MEASURES],
    rows.flatMap((row) => names.flatMap((name) => measures(row, name, [SCORES[name].name]))),
  );
}

function measures({ domain, generator, separations }: Row, name: ScoreName, more: readonly string[]): string[][] {
  const found = separations[name];
  return found && found.machine > 20 && found.human > 20 ? [[domain, generator, ...more, ...cells(found)]] : [];
}

const cells = ({ auroc, truePositives1, truePositives5 }: Separation): string[] => [
  cell(auroc, (x) => x.toFixed(3)),
  cell(truePositives1, (x) => `${(100 * x).toFixed(1)}%`),
  cell(truePositives5, (x) => `${(100 * x).toFixed(1)}%`),
];

const cell = ({ value, interval: { low, high } }: Measured, format: (x: number) => string): string =>
  `${format(value)} (${format(low)}–${format(high)})`;
