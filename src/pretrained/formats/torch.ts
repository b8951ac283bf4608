import { GPT2_HUGGING_FACE } from "../../architectures/gpt2/formats/huggingface.js";
import { GPT2_TORCH } from "../../architectures/gpt2/formats/torch.js";
import type { HuggingFaceMapping, TorchConfig, TorchMapping, TorchSettings } from "../../architectures/mapping.js";
import type { ByteSource } from "../../checkpoint/byte-source.js";
import { PickleRecord } from "../../checkpoint/pickle-machine.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import { isShardIndex, joinShards, readShardIndex } from "../../checkpoint/safetensors-index.js";
import { type JsonObject, readJsonSource } from "../../checkpoint/strict-json.js";
import { readTorchFile, type TorchFile } from "../../checkpoint/torch-file.js";
import { TorchTensor, torchError } from "../../checkpoint/torch-names.js";
import { quote } from "../../util/quote.js";
import { type Checkpoint, mainDtype } from "../checkpoint.js";
import { generationSettings } from "../generation-config.js";
import { matchTensors } from "../match-tensors.js";
import { CONFIG_FILE, type ModelFiles, type OpenFiles, readingFiles, tokenizerFilesIn } from "../model-files.js";
import { configFromHuggingFace, type HuggingFaceConfig, logicalTensors, tableNames } from "./huggingface.js";
import { configBeside, takeHead } from "./task-head.js";

/** PyTorch programs with their own settings and tensor names. */
const PROGRAMS: readonly { readonly settings: TorchMapping; readonly names: HuggingFaceMapping }[] = [
  { settings: GPT2_TORCH, names: GPT2_HUGGING_FACE },
];

/** Settings of a model or a run in nanoGPT and minGPT: plain objects, whatever module they are from. */
const RECORDS = /^(argparse\.Namespace|(\w+\.)*(GPTConfig|CfgNode))$/;

/**
 * Reads a file of torch.save without running anything, and the configuration in it or beside it. Tensor data stays in the file
 * until it is used.
 *
 * @param file the weights, or the index of their shards.
 * @throws {CheckpointError} a file is malformed or names anything not on the list, or the tensors do not fit the configuration.
 * @throws {ConfigError} the configuration describes another architecture, or a variant that is not supported.
 */
export function openTorch(file: string, files: ModelFiles): Checkpoint {
  return readingFiles(files, (opened) => {
    const configFile = opened.find(CONFIG_FILE);
    const weights = opened.open(file);
    const { found, settings, metadata } = isShardIndex(file) ? readShards(weights, opened) : readOne(weights);
    const model = describeModel(found, settings, weights.name, configFile);
    const { tensors, fromConfig, order, zeroBiases, described, mapping } = model;
    const head = takeHead(tensors, fromConfig?.json ?? {}, described, configFile?.name ?? weights.name);
    const config = configBeside(head, tensors, described, mapping);
    const stored = matchTensors(tensors, { config, weights: weights.name, matrices: order, zeroBiases });
    return {
      format: "pytorch",
      ...opened.describe(),
      config,
      dtype: mainDtype(stored.values()),
      tensors: stored,
      ...(head && { head }),
      metadata,
      ...(fromConfig && generationSettings(files, fromConfig, config.vocabSize)),
      ...tokenizerFilesIn(files),
    };
  });
}

/** A named tensor that is not located yet: tensors that are not needed may have any layout. */
interface NamedTensor {
  readonly name: string;
  locate(): RawTensor;
}

interface Contents {
  readonly found: readonly NamedTensor[];
  readonly settings?: TorchSettings | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

function readOne(weights: ByteSource): Contents {
  const file = readTorchFile(weights, { records: RECORDS });
  const { value } = file;
  if (!(value instanceof Map)) throw torchError(weights.name, "a dict of tensors", quote(value));
  return { found: namedTensors(file, stateDict(value)), settings: settingsOf(value), metadata: progressOf(value) };
}

function readShards(weights: ByteSource, opened: OpenFiles): Contents {
  const index = readShardIndex(weights, "bin");
  const shards = [...new Set(index.values())].map((name) => {
    const source = opened.open(name);
    return { source, tensors: new Map(readOne(source).found.map((tensor) => [tensor.name, tensor])) };
  });
  return { found: [...joinShards(shards).values()], metadata: {} };
}

/** Keys under which programs store the tensors, if they are not in the dict itself. */
const STATE_DICTS = ["model", "state_dict", "model_state_dict"];

function stateDict(value: ReadonlyMap<unknown, unknown>): ReadonlyMap<unknown, unknown> {
  const inner = STATE_DICTS.map((key) => value.get(key)).find((part) => part instanceof Map);
  return (inner as ReadonlyMap<unknown, unknown> | undefined) ?? value;
}

function namedTensors(file: TorchFile, dict: ReadonlyMap<unknown, unknown>): NamedTensor[] {
  return [...dict].map(([key, tensor]) => {
    if (typeof key !== "string" || !(tensor instanceof TorchTensor)) {
      const got = `${quote(key)}, which is ${quote(tensor)}`;
      const hint = "A model is a state dict, by itself or under the name model, as nanoGPT saves it";
      throw torchError(file.source.name, "a dict from names to tensors", got, hint);
    }
    return { name: key, locate: () => file.locate(key, tensor) };
  });
}

/** nanoGPT keeps a dict, build-nanogpt its GPTConfig. */
function settingsOf(value: ReadonlyMap<unknown, unknown>): TorchSettings | undefined {
  const [args, config] = [value.get("model_args"), value.get("config")];
  if (args instanceof Map) return { fields: args, where: "model_args" };
  return config instanceof PickleRecord ? { fields: config.fields, where: "config" } : undefined;
}

function progressOf(value: ReadonlyMap<unknown, unknown>): Record<string, string> {
  const entries = ["iter_num", "step"].map((key) => [key, value.get(key)] as const);
  return Object.fromEntries(entries.filter(([, n]) => typeof n === "number").map(([key, n]) => [key, String(n)]));
}

interface DescribedModel {
  /** Tensors by their names in the table. */
  readonly tensors: Map<string, RawTensor>;
  readonly described: HuggingFaceConfig["config"];
  readonly mapping: HuggingFaceMapping;
  readonly order: "in_out" | "out_in";
  readonly zeroBiases: boolean;
  /** The model described by transformers' config.json, if that is its format. */
  readonly fromConfig: { readonly json: JsonObject; readonly path: string } | undefined;
}

/** Takes settings from the file, else from a config.json of transformers or another program, else only from the tensors. */
function describeModel(
  found: readonly NamedTensor[],
  settings: TorchSettings | undefined,
  weights: string,
  configFile: ByteSource | undefined,
): DescribedModel {
  const json = settings === undefined && configFile ? readJsonSource(configFile) : undefined;
  const others = json && PROGRAMS.find((program) => program.settings.settingsFromJson(json) !== undefined);
  const program = json === undefined ? PROGRAMS[0] : others;
  if (program !== undefined) {
    const tensors = locateAll(found, program.names, weights);
    const given = settings ?? (json && program.settings.settingsFromJson(json));
    const file = settings === undefined && configFile ? configFile.name : weights;
    const { config, zeroBiases }: TorchConfig = program.settings.readConfig(tensors, given, file);
    return {
      tensors,
      described: config,
      mapping: program.names,
      order: orderOf(program.names, tensors),
      zeroBiases,
      fromConfig: undefined,
    };
  }
  const fromConfig = { json: json!, path: configFile!.name };
  const { mapping, config } = configFromHuggingFace(json!, configFile!.name);
  const tensors = locateAll(found, mapping, weights);
  return { tensors, described: config, mapping, order: orderOf(mapping, tensors), zeroBiases: false, fromConfig };
}

const orderOf = (mapping: HuggingFaceMapping, tensors: ReadonlyMap<string, RawTensor>) =>
  mapping.matrixOrder?.(tensors) ?? "in_out";

function locateAll(found: readonly NamedTensor[], mapping: HuggingFaceMapping, file: string): Map<string, RawTensor> {
  const located = new Map([...tableNames(found, mapping, file)].map(([name, tensor]) => [name, tensor.locate()]));
  return logicalTensors(located, mapping);
}
