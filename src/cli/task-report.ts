import type { TaskReport } from "../train/task-report.js";
import { formatTable } from "./table.js";

/** The figures of a report on one line. */
export function summary(report: TaskReport): string {
  if (!("accuracy" in report)) {
    const { meanSquaredError, meanAbsoluteError } = report;
    return `mean squared error ${meanSquaredError.toPrecision(4)}, mean absolute error ${meanAbsoluteError.toPrecision(4)}`;
  }
  return `accuracy ${percent(report.accuracy)}, macro F1 ${report.macroF1.toFixed(4)}`;
}

/** A line for each label; none for regression. */
export function labelTable(report: TaskReport): string[] {
  if (!("accuracy" in report)) return [];
  const rows = report.labels.map(({ label, precision, recall, f1, texts }) => {
    return [label, percent(precision), percent(recall), f1.toFixed(4), String(texts)];
  });
  return formatTable(["label", "precision", "recall", "F1", "texts"], rows).trimEnd().split("\n");
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
