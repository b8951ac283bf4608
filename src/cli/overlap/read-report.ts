import { readFile } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { recordOf, stringField } from "../../evaluate/data/text-formats.js";
import type { TaskResult } from "../../evaluate/run.js";

/** What is needed of what `gpt2 eval --json` wrote. */
export interface ReadReport {
  /** Name of the model, undefined for the package's own. */
  readonly model: string | undefined;
  readonly results: readonly TaskResult[];
}

/** @throws {DataError} the file can't be read, or `gpt2 eval` did not write it. */
export async function readReport(path: string): Promise<ReadReport> {
  const op = `reading ${path}`;
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new DataError({ op, expected: "what gpt2 eval --json wrote", got: (cause as Error).message, cause });
  }
  const report = recordOf(value, path);
  const name = stringField(recordOf(report.model, `${path}: model`), "name", `${path}: model`);
  const { results } = report;
  if (!Array.isArray(results) || !results.every(isResult)) {
    throw new DataError({
      op,
      expected: "results with every item's outcome, as gpt2 eval --json writes",
      got: "others",
    });
  }
  return { model: name === "default" ? undefined : name, results };
}

function isResult(value: unknown): value is TaskResult {
  if (typeof value !== "object" || value === null) return false;
  const { spec, task, version, ofItems, files, outcomes } = value as Record<string, unknown>;
  return (
    [spec, task].every((text) => typeof text === "string") &&
    [version, ofItems].every((count) => typeof count === "number") &&
    [files, outcomes].every((list) => Array.isArray(list) && list.every(isObject))
  );
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
