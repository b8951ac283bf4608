import { basename } from "node:path";
import type { Command } from "commander";
import { architectureOf } from "../../architectures/registry.js";
import type { TaskHead } from "../../architectures/task-head.js";
import { type CheckpointDescription, describeCheckpoint, formatNamed } from "../../pretrained/index.js";
import { type AdapterDescription, describeAdapter, isAdapter } from "../../pretrained/node.js";
import { printable, printableLine } from "../../util/printable.js";
import { formatBytes } from "../../util/progress.js";
import { fetchedPath, openNamedModel } from "../model.js";
import { formatInteger, formatRows, print } from "../output.js";
import { interruptible } from "../signals.js";

interface InfoFlags {
  readonly offline?: true;
  readonly tensors?: true;
  readonly json?: true;
}

/** Adds `gpt2 info`. */
export function registerInfo(program: Command): void {
  program
    .command("info")
    .summary("show the contents of a model file")
    .description("Show the contents of a model file or LoRA adapter. Only headers are read.")
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
    print(text);
  });
}

function adapterInfo(path: string, flags: InfoFlags): string {
  const description = describeAdapter(path);
  return flags.json ? printable(`${JSON.stringify(description, undefined, 2)}\n`) : adapterSummary(description, flags);
}

async function modelInfo(path: string | undefined, flags: InfoFlags, signal: AbortSignal): Promise<string> {
  const checkpoint = await openNamedModel(path, { offline: flags.offline, signal });
  try {
    const description = describeCheckpoint(checkpoint);
    if (flags.json) return printable(`${JSON.stringify(description, undefined, 2)}\n`);
    return summary(description) + (flags.tensors ? `\n${tensorList(description)}` : "");
  } finally {
    checkpoint.close();
  }
}

function adapterSummary(description: AdapterDescription, { tensors: listed }: InfoFlags): string {
  const { path, rank, alpha, rankStabilized, baseModel, parameters, targets, tensors } = description;
  const rows: [string, string][] = [
    ["adapter", path],
    ["format", "LoRA, PEFT's"],
    ["for", baseModel ?? "the package's own model"],
    ["rank", `${rank}, times ${alpha} / ${rankStabilized ? "√" : ""}${rank}`],
    ["parameters", formatInteger(parameters)],
    [
      "layers",
      Object.entries(targets)
        .map(([target, n]) => `${n} × ${target}`)
        .join(", "),
    ],
  ];
  const table = formatRows(rows);
  const lines = tensors.map(({ name, shape, dtype }) => `${printableLine(name)}  ${dtype}  [${shape.join(", ")}]\n`);
  return listed ? `${table}\n${lines.join("")}` : table;
}

/** For people. */
function summary(description: CheckpointDescription): string {
  const { path, format, dtype, files, config, head, parameters, metadata } = description;
  const { tokenizerFiles, tokenizerInFile } = description;
  const { label, differences } = architectureOf(config);
  const size = formatBytes(files.reduce((sum, file) => sum + file.size, 0));
  const tokenizer = Object.values(tokenizerFiles as Record<string, string>).map((file) => basename(file));
  const rows: [string, string][] = [
    ["model", path],
    [
      "format",
      `${formatNamed(format).title}, ${dtype}, ${size} in ${files.map((file) => basename(file.path)).join(", ")}`,
    ],
    ["architecture", label],
    ["parameters", formatInteger(parameters)],
    ["layers", formatInteger(config.nLayer)],
    ["width", `${formatInteger(config.nEmbd)}, feed-forward ${formatInteger(config.nInner)}`],
    ["heads", `${formatInteger(config.nHead)} of ${formatInteger(config.nEmbd / config.nHead)}`],
    ["context", `${formatInteger(config.nCtx)} tokens`],
    ["vocabulary", `${formatInteger(config.vocabSize)} tokens`],
    ...(head ? [taskRow(head)] : []),
    ...differences(config).map((difference): [string, string] => [`unlike ${label}`, difference]),
    ["tokenizer", tokenizerInFile ? "in the file" : tokenizer.join(", ") || "none beside the model"],
    ...Object.entries(metadata).map(([key, value]): [string, string] => [`metadata ${key}`, value]),
  ];
  return formatRows(rows);
}

function taskRow({ kind, labels }: TaskHead): [string, string] {
  const named = labels.slice(0, 20).join(", ");
  const more = labels.length > 20 ? `, … (${formatInteger(labels.length)})` : "";
  return ["task", kind === "regression" ? kind : `${kind}: ${named}${more}`];
}

function tensorList({ tensors }: CheckpointDescription): string {
  const width = Math.max(...tensors.map(({ name }) => name.length));
  const lines = tensors.map(({ name, shape, dtype, bytes, storedAs }) => {
    const layout = storedAs === "in_out" ? "  stored [in, out]" : "";
    return `${printableLine(name).padEnd(width)}  ${dtype.padEnd(4)}  [${shape.join(", ")}]  ${formatBytes(bytes)}${layout}`;
  });
  return `${lines.join("\n")}\n`;
}
