import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { readSmallJson } from "../data/small-file.js";
import { DataError } from "../errors.js";
import { recordOf, stringField } from "./data/text-formats.js";
import type { FigureComparison } from "./reproduce.js";
import type { TaskResult } from "./run.js";

export interface HashedFile {
  /** Without its folder. */
  readonly file: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** A model's results with everything they depend on, as `gpt2 eval --json` writes them. */
export interface EvaluationReport {
  readonly program: string;
  readonly model: {
    readonly name: string;
    /** The weights' files, and the adapter's. */
    readonly files: readonly HashedFile[];
    readonly adapter?: string;
    readonly parameters: number;
    readonly config: ModelConfig;
    /** Storage dtype of the weights, unless it is the file's. */
    readonly dtype?: string;
    readonly backend: string;
  };
  readonly limit?: number;
  readonly results: readonly TaskResult[];
  /** In a reproduction: each of the paper's figures with our candidates for it, smallest first. */
  readonly comparisons?: readonly FigureComparison[];
  /** In a reproduction: evaluations that were not run, and where their data is published. */
  readonly notRun?: Readonly<Record<string, string>>;
}

/** SHA-256 of files as they are on disk. */
export async function hashFiles(paths: readonly string[], signal?: AbortSignal): Promise<HashedFile[]> {
  const hashed: HashedFile[] = [];
  for (const path of paths) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) })) {
      hash.update(chunk as Uint8Array);
    }
    hashed.push({ file: basename(path), sha256: hash.digest("hex") });
  }
  return hashed;
}

/** The parts of an {@link EvaluationReport} that overlap is measured from. */
export interface ReadReport {
  /** Name of the model; undefined for the package's own. */
  readonly model: string | undefined;
  readonly results: readonly TaskResult[];
}

/** @throws {DataError} the file can't be read, or is no {@link EvaluationReport}. */
export async function readReport(path: string): Promise<ReadReport> {
  const op = `reading ${path}`;
  const report = recordOf(readSmallJson(path, { expected: "a report made by gpt2 eval --json" }), path);
  const name = stringField(recordOf(report.model, `${path}: model`), "name", `${path}: model`);
  const { results } = report;
  if (!Array.isArray(results) || !results.every(isResult)) {
    const expected = "results with every item's outcome, as gpt2 eval --json writes";
    throw new DataError({ op, expected, got: "results without them" });
  }
  return { model: name === "default" ? undefined : name, results };
}

function isResult(value: unknown): value is TaskResult {
  if (!isObject(value)) return false;
  const { spec, task, version, ofItems, files, outcomes } = value as Record<string, unknown>;
  return (
    [spec, task].every((text) => typeof text === "string") &&
    [version, ofItems].every((count) => typeof count === "number") &&
    [files, outcomes].every((list) => Array.isArray(list) && list.every(isObject))
  );
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
