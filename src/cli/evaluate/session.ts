import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parameterCount } from "../../architectures/gpt2/tensors.js";
import { DataError, UsageError } from "../../errors.js";
import { fetchedSource, folderSource } from "../../evaluate/data/node-sources.js";
import { type DataSource, firstOf } from "../../evaluate/data/source.js";
import { journalFile } from "../../evaluate/journal-file.js";
import { type EvaluationReport, type HashedFile, hashFiles } from "../../evaluate/report-file.js";
import { type RunIdentity, runTask, type TaskResult } from "../../evaluate/run.js";
import { formatTaskSpec, type TaskSpec } from "../../evaluate/task.js";
import type { GPT2 } from "../../gpt2.js";
import { locateModel } from "../../hub/node.js";
import { baseOfAdapter } from "../../pretrained/load-adapters.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { isRegularOutput } from "../../util/output.js";
import { packageVersion } from "../../util/package-version.js";
import { progress } from "../../util/progress.js";
import { downloadLine } from "../download-line.js";
import { loadModel, type ModelFlags, openNamedModel } from "../options.js";

export interface EvaluationFlags extends ModelFlags {
  readonly data?: string;
  readonly limit?: number;
  readonly json?: string;
  readonly resume?: true;
  readonly progress?: true;
}

/** What a reproduction adds. */
export type ReproductionFacts = Required<Pick<EvaluationReport, "comparisons" | "notRun">>;

/** A model that is evaluated on one task after another. */
export interface EvaluationSession {
  readonly model: GPT2;
  run(spec: TaskSpec): Promise<TaskResult>;
  /** Writes everything down, if that was asked for. */
  finish(results: readonly TaskResult[], more?: ReproductionFacts): Promise<void>;
}

/** With `--json` the outcomes are kept as they come, so that `--resume` can go on with them. */
export async function openSession(flags: EvaluationFlags, signal: AbortSignal): Promise<EvaluationSession> {
  checkFlags(flags);
  const journals = await journalsFor(flags);
  const model = await loadModel(flags, signal);
  const files = await modelFiles(flags, signal);
  return {
    model,
    run: (spec) => evaluateOne(flags, model, spec, signal, journals, identityOf(flags, files)),
    finish: async (results, more) => {
      if (flags.json === undefined) return;
      const report = { ...makeReport(flags, model, files, results), ...more };
      await writeFileAtomically(flags.json, `${JSON.stringify(report)}\n`, DataError);
      if (journals !== undefined) await rm(journals, { recursive: true, force: true });
    },
  };
}

/** Folder of the outcomes; undefined without a file that they could stand beside: a pipe or device keeps nothing. */
async function journalsFor({ json, resume }: EvaluationFlags): Promise<string | undefined> {
  if (json === undefined) return undefined;
  if (await isRegularOutput(json, DataError)) return `${json}.partial`;
  if (!resume) return undefined;
  throw new UsageError({ op: "--resume", expected: "--json with a regular file", got: json });
}

function checkFlags({ resume, json, limit }: EvaluationFlags): void {
  if (resume && json === undefined) {
    throw new UsageError({ op: "--resume", expected: "--json FILE, beside which the outcomes are kept", got: "none" });
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new UsageError({ op: "--limit", expected: "a positive integer", got: String(limit) });
  }
}

/** Found again by name: by now all is on this machine. */
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

/** What outcomes depend on, for the journal: the weights, and the type they are held in. */
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

const STOPPED = "gpt2: stopped; the same command with --resume goes on from here";

async function evaluateOne(
  flags: EvaluationFlags,
  model: GPT2,
  spec: TaskSpec,
  signal: AbortSignal,
  journals: string | undefined,
  modelIdentity: string,
): Promise<TaskResult> {
  const { limit, resume, progress: plain } = flags;
  const name = formatTaskSpec(spec);
  const downloads = downloadLine(plain ? "plain" : "auto");
  let line: ReturnType<typeof progress> | undefined;
  const onProgress = (done: number, items: number) => {
    downloads.end();
    line ??= progress({ label: name, total: items, unit: "items", start: done, mode: plain ? "plain" : "auto" });
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
    if (signal.aborted && journals) process.stderr.write(`${STOPPED}\n`);
    throw error;
  } finally {
    downloads.end();
    line?.done();
  }
}

/** The user's folder, then what can be fetched. */
export function dataSource(
  { data = ".", offline }: Pick<EvaluationFlags, "data" | "offline">,
  signal: AbortSignal,
  onDownload: ReturnType<typeof downloadLine>["onDownload"],
): DataSource {
  return firstOf(folderSource(data), fetchedSource({ offline, signal, onDownload }));
}
