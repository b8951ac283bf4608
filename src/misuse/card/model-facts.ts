import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { architectureOf } from "../../architectures/registry.js";
import { parseRecord } from "../../data/json-lines.js";
import { readSmallJson, readSmallText } from "../../data/small-file.js";
import { DataError } from "../../errors.js";
import { hashFiles } from "../../evaluate/report-file.js";
import { type Checkpoint, describeCheckpoint } from "../../pretrained/checkpoint.js";
import { formatNamed } from "../../pretrained/formats.js";
import type { TrainEvent } from "../../train/events.js";
import { mismatch } from "../../util/json-shape.js";
import type { ModelFacts } from "./card.js";
import type { ResultFile } from "./results.js";

/** Facts from a model's files, and from those of its training run. */
export async function modelFacts(checkpoint: Checkpoint, name?: string): Promise<ModelFacts> {
  const { path, config, parameters, dtype, files, format } = describeCheckpoint(checkpoint);
  return {
    name: name ?? basename(resolve(path)),
    architecture: architectureOf(config).label,
    config,
    parameters,
    dtype,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    format: formatNamed(format).title,
    files: await hashFiles(files.map(({ path: file }) => file).filter((file) => !file.endsWith(".json"))),
    events: await eventsOf(path),
  };
}

/** The events of the run whose folder holds the model as `model/`. */
async function eventsOf(path: string): Promise<TrainEvent[]> {
  const metrics = join(dirname(resolve(path)), "metrics.jsonl");
  if (basename(resolve(path)) !== "model" || !existsSync(metrics)) return [];
  const lines = readSmallText(metrics, { expected: "the events of a run" }).split("\n");
  // A run that was killed may have left part of a line.
  lines.pop();
  return lines.map((line, i) => {
    const where = `${metrics}, line ${i + 1}`;
    const event = parseRecord(line, where);
    const found = mismatch(event, { fields: { type: "string" } });
    if (found === undefined) return event as unknown as TrainEvent;
    throw new DataError({ op: `reading ${where}: ${found.path}`, expected: found.expected, got: found.got });
  });
}

/** Names of result files in a model's folder. */
const BESIDE = ["detection.json", "overlap.json"];

/** Reads the given result files, and those beside the model. @throws {DataError} one is missing, or is not JSON. */
export async function readResults(given: readonly string[], folder: string): Promise<ResultFile[]> {
  const beside = BESIDE.map((file) => join(folder, file)).filter((path) => existsSync(path));
  return Promise.all([...given, ...beside].map(async (path) => ({ path, value: await readJson(path) })));
}

/** Reads JSON, where null stands for the mean of nothing. @throws {DataError} the file is missing, or is not JSON. */
export async function readJson(path: string): Promise<unknown> {
  const number = (key: string, value: unknown) =>
    value === null && ["value", "low", "high"].includes(key) ? Number.NaN : value;
  return readSmallJson(path, { expected: "a file of JSON" }, number);
}
