import { basename } from "node:path";
import type { Command } from "commander";
import type { GPT2Config } from "../../architectures/gpt2/config.js";
import type { TaskHead } from "../../architectures/task-head.js";
import { type CheckpointDescription, describeCheckpoint, FORMAT_NAMES } from "../../pretrained/index.js";
import { type AdapterDescription, describeAdapter, isAdapter } from "../../pretrained/node.js";
import { formatBytes } from "../../util/progress.js";
import { interruptible } from "../interrupt.js";
import { fetchedPath, openNamedModel } from "../options.js";

interface InfoFlags {
  readonly offline?: true;
  readonly tensors?: true;
  readonly json?: true;
}

/** Adds `gpt2 info`. */
export function registerInfo(program: Command): void {
  program
    .command("info")
    .summary("what a model file holds")
    .description("Show what a model file, or a LoRA adapter, holds. Only headers are read.")
    .argument("[model]", "as for --model (default: the package's own model)")
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .option("--tensors", "list every tensor")
    .option("--json", "print everything as JSON")
    .action(info);
}

async function info(name: string | undefined, flags: InfoFlags): Promise<void> {
  await interruptible(async (signal) => {
    const fetch = { offline: flags.offline, signal };
    const path = name && (await fetchedPath(name, fetch));
    const text = path && isAdapter(path) ? adapterInfo(path, flags) : await modelInfo(path, flags, signal);
    process.stdout.write(text);
  });
}

function adapterInfo(path: string, flags: InfoFlags): string {
  const description = describeAdapter(path);
  return flags.json ? `${JSON.stringify(description, undefined, 2)}\n` : adapterSummary(description, flags);
}

async function modelInfo(path: string | undefined, flags: InfoFlags, signal: AbortSignal): Promise<string> {
  const checkpoint = await openNamedModel(path, { offline: flags.offline, signal });
  try {
    const description = describeCheckpoint(checkpoint);
    if (flags.json) return `${JSON.stringify(description, undefined, 2)}\n`;
    return summary(description) + (flags.tensors ? `\n${tensorList(description)}` : "");
  } finally {
    checkpoint.close();
  }
}

function adapterSummary(description: AdapterDescription, { tensors: listed }: InfoFlags): string {
  const { path, rank, alpha, rankStabilized, baseModel, parameters, targets, tensors } = description;
  const rows = [
    ["adapter", path],
    ["format", "LoRA, PEFT's"],
    ["for", oneLine(baseModel ?? "the package's own model")],
    ["rank", `${rank}, times ${alpha} / ${rankStabilized ? "√" : ""}${rank}`],
    ["parameters", count(parameters)],
    [
      "layers",
      Object.entries(targets)
        .map(([target, n]) => `${n} × ${target}`)
        .join(", "),
    ],
  ];
  const table = rows.map(([name, value]) => `${name!.padEnd(10)}  ${value}\n`).join("");
  const lines = tensors.map(({ name, shape, dtype }) => `${oneLine(name)}  ${dtype}  [${shape.join(", ")}]\n`);
  return listed ? `${table}\n${lines.join("")}` : table;
}

/** Text of a file without what would break the line or steer a terminal. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");

const count = (n: number): string => n.toLocaleString("en");

/** For people. */
function summary(description: CheckpointDescription): string {
  const { path, format, dtype, files, config, head, parameters, metadata } = description;
  const { tokenizerFiles, tokenizerInFile } = description;
  const size = formatBytes(files.reduce((sum, file) => sum + file.size, 0));
  const tokenizer = Object.values(tokenizerFiles as Record<string, string>).map((file) => basename(file));
  const rows: [string, string][] = [
    ["model", path],
    ["format", `${FORMAT_NAMES[format]}, ${dtype}, ${size} in ${files.map((file) => basename(file.path)).join(", ")}`],
    ["parameters", count(parameters)],
    ["layers", count(config.nLayer)],
    ["width", `${count(config.nEmbd)}, feed-forward ${count(config.nInner)}`],
    ["heads", `${count(config.nHead)} of ${count(config.nEmbd / config.nHead)}`],
    ["context", `${count(config.nCtx)} tokens`],
    ["vocabulary", `${count(config.vocabSize)} tokens`],
    ...(head ? [taskRow(head)] : []),
    ...variant(config).map((difference): [string, string] => ["unlike GPT-2", difference]),
    ["tokenizer", tokenizerInFile ? "in the file" : tokenizer.join(", ") || "none beside the model"],
    ...Object.entries(metadata).map(([key, value]): [string, string] => [`metadata ${oneLine(key)}`, oneLine(value)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}

function taskRow({ kind, labels }: TaskHead): [string, string] {
  const named = labels.slice(0, 20).map(oneLine).join(", ");
  const more = labels.length > 20 ? `, … (${count(labels.length)})` : "";
  return ["task", kind === "regression" ? kind : `${kind}: ${named}${more}`];
}

/** What it computes otherwise than OpenAI's. */
function variant(config: GPT2Config): string[] {
  const { activation, tieWordEmbeddings, scaleAttnWeights, scaleAttnByInverseLayerIdx } = config;
  return [
    ...(activation === "gelu_new" ? [] : [`activation ${activation}`]),
    ...(tieWordEmbeddings ? [] : ["an output head of its own"]),
    ...(scaleAttnWeights ? [] : ["attention scores not divided by the root of the head size"]),
    ...(scaleAttnByInverseLayerIdx ? ["attention scores divided by the layer's number"] : []),
  ];
}

function tensorList({ tensors }: CheckpointDescription): string {
  const width = Math.max(...tensors.map(({ name }) => name.length));
  const lines = tensors.map(({ name, shape, dtype, bytes, storedAs }) => {
    const layout = storedAs === "in_out" ? "  stored [in, out]" : "";
    return `${name.padEnd(width)}  ${dtype.padEnd(4)}  [${shape.join(", ")}]  ${formatBytes(bytes)}${layout}`;
  });
  return `${lines.join("\n")}\n`;
}
