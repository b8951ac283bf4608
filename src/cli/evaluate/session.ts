import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DataError, UsageError } from "../../errors.js";
import { folderSource } from "../../evaluate/data/folder-source.js";
import { type HashedFile, hashFiles } from "../../evaluate/hash-files.js";
import { journalFile } from "../../evaluate/journal-file.js";
import { runTask, type TaskResult } from "../../evaluate/run.js";
import { formatTaskSpec, type TaskSpec } from "../../evaluate/task.js";
import { openModel } from "../../generate/load.js";
import type { GPT2 } from "../../gpt2.js";
import { parameterCount } from "../../model/tensors.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { packageVersion } from "../../util/package-version.js";
import { progress } from "../../util/progress.js";
import { loadModel, type ModelFlags } from "../options.js";

export interface EvaluationFlags extends ModelFlags {
  readonly data?: string;
  readonly limit?: number;
  readonly json?: string;
  readonly resume?: true;
  readonly progress?: true;
}

/** What `--json` writes. */
export interface EvaluationReport {
  readonly program: string;
  readonly model: {
    readonly name: string;
    readonly files: readonly HashedFile[];
    readonly parameters: number;
    readonly config: GPT2["config"];
    readonly backend: string;
  };
  readonly limit?: number;
  readonly results: readonly TaskResult[];
}

/** Runs evaluations one after another; with `--json` they can be resumed, and are written down. */
export async function evaluateAll(
  flags: EvaluationFlags,
  specs: readonly TaskSpec[],
  signal: AbortSignal,
  onResult: (result: TaskResult) => void,
): Promise<EvaluationReport & { readonly loaded: GPT2 }> {
  checkFlags(flags);
  const model = await loadModel(flags, signal);
  const files = await modelFiles(flags.model, signal);
  const journals = flags.json === undefined ? undefined : `${flags.json}.partial`;
  const results: TaskResult[] = [];
  for (const spec of specs) {
    const result = await evaluateOne(flags, model, spec, signal, journals, files);
    results.push(result);
    onResult(result);
  }
  const report: EvaluationReport = {
    program: `gpt2-ts ${packageVersion()}`,
    model: {
      name: flags.model ?? "default",
      files,
      parameters: parameterCount(model.config),
      config: model.config,
      backend: model.backend.description,
    },
    ...(flags.limit !== undefined && { limit: flags.limit }),
    results,
  };
  if (flags.json !== undefined) {
    await writeFileAtomically(flags.json, `${JSON.stringify(report)}\n`, DataError);
    await rm(journals!, { recursive: true, force: true });
  }
  return { ...report, loaded: model };
}

function checkFlags({ resume, json, limit }: EvaluationFlags): void {
  if (resume && json === undefined) {
    throw new UsageError({ op: "--resume", expected: "--json FILE, beside which the outcomes are kept", got: "none" });
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new UsageError({ op: "--limit", expected: "a positive integer", got: String(limit) });
  }
}

/** Found again by its name, which by now is on this machine. */
async function modelFiles(name: string | undefined, signal: AbortSignal): Promise<HashedFile[]> {
  const checkpoint = await openModel(name, { signal });
  checkpoint.close();
  const paths = checkpoint.files.map(({ path }) => path);
  return hashFiles(paths, signal);
}

async function evaluateOne(
  { data = ".", limit, resume, progress: plain }: EvaluationFlags,
  model: GPT2,
  spec: TaskSpec,
  signal: AbortSignal,
  journals: string | undefined,
  files: readonly HashedFile[],
): Promise<TaskResult> {
  const name = formatTaskSpec(spec);
  let line: ReturnType<typeof progress> | undefined;
  const onProgress = (done: number, items: number) => {
    line ??= progress({ label: name, total: items, unit: "items", start: done, mode: plain ? "plain" : "auto" });
    line.update(done);
  };
  const key = files.map(({ sha256 }) => sha256).join(" ");
  const journal = journals && {
    journal: async (identity: Parameters<typeof journalFile>[1]) => {
      await mkdir(journals, { recursive: true });
      return journalFile(join(journals, `${name.replace(/[^\w.=-]+/g, "_")}.jsonl`), identity, key, resume === true);
    },
  };
  try {
    return await runTask(model, spec, { source: folderSource(data), limit, signal, onProgress, ...journal });
  } finally {
    line?.done();
  }
}
