import type { TaskHead } from "../architectures/task-head.js";
import { type EntityReport, entityReport } from "../evaluate/metrics/entities.js";
import {
  type ClassificationReport,
  classificationReport,
  largestIndex,
  type RegressionReport,
  regressionReport,
} from "./classification-metrics.js";
import { type SpanReport, spanReport } from "./span-report.js";
import type { Outcome } from "./task-arrays.js";

/** Measures of a task head on held-out texts. */
export type TaskReport = ClassificationReport | RegressionReport | EntityReport | SpanReport;

export function reportOf({ kind, labels }: TaskHead, outcomes: readonly Outcome[]): TaskReport {
  switch (kind) {
    case "regression":
      return regressionReport(outcomes.map(({ expected, scores }) => [expected[0]!, scores[0]![0]!]));
    case "tokens":
      return entityReport(
        outcomes.map(({ expected, scores }) => [
          expected.map((label) => labels[label]!),
          scores.map((of) => labels[largestIndex(of)]!),
        ]),
      );
    case "spans":
      return spanReport(outcomes);
    default:
      return classificationReport(
        labels,
        outcomes.map(({ expected, scores }) => [expected[0]!, largestIndex(scores[0]!)]),
      );
  }
}
