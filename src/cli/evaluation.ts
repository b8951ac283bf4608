import { existsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { parameterCount } from "../architectures/registry.js";
import { DataError, UsageError } from "../errors.js";
import { fetchedSource, folderSource } from "../evaluate/data/node-sources.js";
import { type DataSource, firstOf } from "../evaluate/data/source.js";
import { journalFile } from "../evaluate/journal-file.js";
import { TASKS } from "../evaluate/registry.js";
import { type EvaluationReport, type HashedFile, hashFiles } from "../evaluate/report-file.js";
import { type RunIdentity, runTask, type TaskResult } from "../evaluate/run.js";
import { formatTaskSpec, parseTaskSpec, type TaskSpec } from "../evaluate/task.js";
import { userFileTask } from "../evaluate/tasks/user-file.js";
import type { GPT2 } from "../gpt2.js";
import { baseOfAdapter } from "../pretrained/load-adapters.js";
import { locateModel } from "../pretrained/locate.js";
import { writeFileAtomically } from "../util/atomic-write.js";
import { typedWrite } from "../util/file-errors.js";
import { isRegularOutput } from "../util/output.js";
import { packageVersion } from "../util/package-version.js";
import { progress } from "../util/progress.js";
import { downloadLine, loadModel, type ModelFlags, openNamedModel } from "./model.js";
import { addModelOptions, number, progressMode } from "./options.js";
import { note } from "./output.js";

export interface EvaluationFlags extends ModelFlags {
  readonly data?: string;
  readonly limit?: number;
  readonly json?: string;
  readonly resume?: true;
  readonly progress?: true;
}

/** Adds the options of commands that evaluate. */
export function addEvaluationOptions(command: Command): Command {
  return addModelOptions(
    command
      .option("--data <folder>", "folder of the data sets (default: this folder)")
      .option("--limit <n>", "evaluate only the first n items of each task", number)
      .option("--json <file>", "write a report: configuration, hashes, every item's outcome")
      .option("--resume", "continue an evaluation that was stopped; needs --json")
      .option("--progress", "print progress even without a terminal"),
  );
}

/**
 * A task by its name and options, or a user's file.
 *
 * @throws {UsageError} neither.
 */
export function specOf(text: string): TaskSpec {
  const [name = ""] = text.split(":");
  if (TASKS.some((task) => task.name === name)) return parseTaskSpec(text, TASKS);
  if (existsSync(name)) return parseTaskSpec(text, [userFileTask(name, resolve(name))]);
  const expected = `one of ${TASKS.map((task) => task.name).join(", ")}, or a file that exists`;
  throw new UsageError({ op: "task", expected, got: name, hint: "gpt2 eval --list shows the tasks" });
}

/** Fields that a reproduction adds to the report. */
export type ReproductionFacts = Required<Pick<EvaluationReport, "comparisons" | "notRun">>;

/** Evaluates a model on one task after another. */
export interface EvaluationSession {
  readonly model: GPT2;
  run(spec: TaskSpec): Promise<TaskResult>;
  /** Writes the report, with `--json`. */
  finish(results: readonly TaskResult[], facts?: ReproductionFacts): Promise<void>;
}

/** Loads the model. With `--json`, a journal records outcomes for `--resume`. */
export async function openSession(flags: EvaluationFlags, signal: AbortSignal): Promise<EvaluationSession> {
  checkFlags(flags);
  const journals = await journalsFor(flags);
  const model = await loadModel(flags, signal);
  const files = await modelFiles(flags, signal);
  return {
    model,
    run: (spec) => evaluateOne(flags, model, spec, signal, journals, identityOf(flags, files)),
    finish: async (results, facts) => {
      if (flags.json === undefined) return;
      const report = { ...makeReport(flags, model, files, results), ...facts };
      await writeFileAtomically(flags.json, `${JSON.stringify(report)}\n`, DataError);
      if (journals !== undefined) await rm(journals, { recursive: true, force: true });
    },
  };
}

/** Folder of the journals, beside the report; undefined without a report in a regular file. */
async function journalsFor({ json, resume }: EvaluationFlags): Promise<string | undefined> {
  if (json === undefined) return undefined;
  const regular = await typedWrite(`writing ${json}`, DataError, () => isRegularOutput(json, DataError));
  if (regular) return `${json}.partial`;
  if (!resume) return undefined;
  throw new UsageError({ op: "--resume", expected: "--json with a regular file", got: json });
}

function checkFlags({ resume, json, limit }: EvaluationFlags): void {
  if (resume && json === undefined) {
    throw new UsageError({ op: "--resume", expected: "--json FILE: outcomes are kept beside it", got: "none" });
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new UsageError({ op: "--limit", expected: "a positive integer", got: String(limit) });
  }
}

/** Hashes of the model's files, all of which are on this machine by now. */
async function modelFiles({ model, adapter, offline }: EvaluationFlags, signal: AbortSignal): Promise<HashedFile[]> {
  const options = { offline, signal };
  const base = model ?? (adapter === undefined ? undefined : await baseOfAdapter(adapter, options));
  const checkpoint = await openNamedModel(base, options);
  checkpoint.close();
  const paths = checkpoint.files.map(({ path }) => path);
  return hashFiles([...paths, ...(adapter === undefined ? [] : await adapterFiles(adapter, options))], signal);
}

async function adapterFiles(
  name: string,
  options: { readonly offline: true | undefined; readonly signal: AbortSignal },
): Promise<string[]> {
  const { path } = await locateModel(name, options);
  const names = ["adapter_config.json", "adapter_model.safetensors"];
  return statSync(path).isDirectory() ? names.map((file) => join(path, file)) : [path];
}

/** The model's part in a journal's identity: its weights, and their storage dtype. */
function identityOf({ dtype }: EvaluationFlags, files: readonly HashedFile[]): string {
  return [...files.map(({ sha256 }) => sha256), dtype ?? "as stored"].join(" ");
}

function makeReport(
  { model: name = "default", adapter, dtype, limit }: EvaluationFlags,
  { config, backend }: GPT2,
  files: readonly HashedFile[],
  results: readonly TaskResult[],
): EvaluationReport {
  const model = { name, files, parameters: parameterCount(config), config, backend: backend.description };
  return {
    program: `gpt2-ts ${packageVersion()}`,
    model: { ...model, ...(adapter !== undefined && { adapter }), ...(dtype !== undefined && { dtype }) },
    ...(limit !== undefined && { limit }),
    results,
  };
}

const STOPPED = "stopped; the same command with --resume continues from here";

async function evaluateOne(
  flags: EvaluationFlags,
  model: GPT2,
  spec: TaskSpec,
  signal: AbortSignal,
  journals: string | undefined,
  modelIdentity: string,
): Promise<TaskResult> {
  const { limit, resume } = flags;
  const name = formatTaskSpec(spec);
  const mode = progressMode(flags);
  const downloads = downloadLine(mode);
  let line: ReturnType<typeof progress> | undefined;
  const onProgress = (done: number, items: number) => {
    downloads.end();
    line ??= progress({ label: name, total: items, unit: "items", start: done, mode });
    line.update(done);
  };
  const journal = async (identity: RunIdentity) => {
    const path = join(journals!, `${name.replace(/[^\w.=-]+/g, "_")}.jsonl`);
    return journalFile(path, identity, modelIdentity, resume === true);
  };
  try {
    const source = dataSource(flags, signal, downloads.onDownload);
    return await runTask(model, spec, { source, limit, signal, onProgress, ...(journals && { journal }) });
  } catch (error) {
    line?.done();
    if (signal.aborted && journals) note(STOPPED);
    throw error;
  } finally {
    downloads.end();
    line?.done();
  }
}

/** Data sets in the user's folder, then downloads. */
export function dataSource(
  { data = ".", offline }: Pick<EvaluationFlags, "data" | "offline">,
  signal: AbortSignal,
  onDownload: ReturnType<typeof downloadLine>["onDownload"],
): DataSource {
  return firstOf(folderSource(data), fetchedSource({ offline, signal, onDownload }));
}
