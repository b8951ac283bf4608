/** A small seeded GPT-2 with GPT-2's vocabulary, and the data sets of test/fixtures/evaluate. */
import { readFileSync } from "node:fs";
import type { GPT2Config } from "../../src/architectures/gpt2/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { BackendError } from "../../src/errors.js";
import { folderSource } from "../../src/evaluate/data/node-sources.js";
import type { DataSource } from "../../src/evaluate/data/source.js";
import { TASKS } from "../../src/evaluate/registry.js";
import { runTask, type TaskResult, type TaskRunOptions } from "../../src/evaluate/run.js";
import { parseTaskSpec } from "../../src/evaluate/task.js";
import { GPT2 } from "../../src/gpt2.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededWeights } from "../generate/models.js";

export const DATA = packageFile("test/fixtures/evaluate/data");
export const dataSource: DataSource = folderSource(DATA);

export async function fastBackend(): Promise<Backend> {
  try {
    return await nativeBackend({ threads: 1 });
  } catch (error) {
    if (error instanceof BackendError) return wasmBackend({ threads: 1 });
    throw error;
  }
}

/** A model of random weights, with GPT-2's tokenizer unless another is given. */
export async function seededModel(config: GPT2Config, seed: number, tokenizer?: Tokenizer): Promise<GPT2> {
  const backend = await fastBackend();
  const weights = seededWeights(backend, config, seed);
  return new GPT2({ backend, config, weights, tokenizer: tokenizer ?? (await gpt2Tokenizer()) });
}

/** A small vocabulary, which makes small models quick; trained on a book. */
export async function smallTokenizer(vocabSize: number): Promise<Tokenizer> {
  return trainTokenizer([readFileSync(packageFile("test/fixtures/text/looking-glass.txt"), "utf8")], { vocabSize });
}

/** Evaluates on a task of the registry, with the fixtures' data unless others are given. */
export function evaluateOn(model: GPT2, spec: string, options: Partial<TaskRunOptions> = {}): Promise<TaskResult> {
  return runTask(model, parseTaskSpec(spec, TASKS), { source: dataSource, ...options });
}

/** A metric's value by its name. */
export function metricOf({ metrics, spec }: TaskResult, name: string): number {
  const metric = metrics.find((candidate) => candidate.name === name);
  if (!metric) throw new Error(`${spec} has no metric ${name}`);
  return metric.value;
}

/** Data sets that are in memory. */
export function memorySource(files: Readonly<Record<string, string | Uint8Array>>): DataSource {
  const bytes = (content: string | Uint8Array | undefined) =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;
  return {
    description: "memory",
    read: async (path) => bytes(files[path]),
    list: async (folder) =>
      Object.keys(files)
        .filter((path) => path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes("/"))
        .map((path) => path.slice(folder.length + 1)),
  };
}
