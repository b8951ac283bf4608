import type { TaskHead } from "../architectures/task-head.js";
import {
  type ClassificationReport,
  classificationReport,
  largestIndex,
  type RegressionReport,
  regressionReport,
} from "./classification-metrics.js";
import type { Outcome } from "./task-arrays.js";

/** How good a head for a task is on held-out texts. */
export type TaskReport = ClassificationReport | RegressionReport;

export function reportOf({ kind, labels }: TaskHead, outcomes: readonly Outcome[]): TaskReport {
  if (kind === "regression") return regressionReport(outcomes.map(({ expected, scores }) => [expected, scores[0]!]));
  return classificationReport(
    labels,
    outcomes.map(({ expected, scores }) => [expected, largestIndex(scores)]),
  );
}
