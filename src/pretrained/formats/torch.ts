import type { ByteSource } from "../../checkpoint/byte-source.js";
import { PickleRecord } from "../../checkpoint/pickle-machine.js";
import { quote } from "../../checkpoint/quote.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import { joinShards, readJsonSource, readShardIndex } from "../../checkpoint/safetensors-index.js";
import { readTorchFile, type TorchFile } from "../../checkpoint/torch-file.js";
import { TorchTensor, torchError } from "../../checkpoint/torch-names.js";
import { type Checkpoint, mainDtype, type TokenizerFiles } from "../checkpoint.js";
import { matchTensors } from "../names/match-tensors.js";
import { canonicalNames, configFromHuggingFace } from "../names/state-dict.js";
import { configBeside, takeHead } from "../names/state-dict-classifier.js";
import {
  configFromTorch,
  matrixOrder,
  settingsFromMinGPT,
  type TorchSettings,
  withoutWrappers,
} from "../names/state-dict-torch.js";
import { closeAll, closingOnError } from "./huggingface.js";

/** The files of a model that PyTorch saved, however they are reached. */
export interface TorchSources {
  /** What to call the whole in messages. */
  readonly path: string;
  /** pytorch_model.bin, a .pt, or with `openShard` pytorch_model.bin.index.json. */
  readonly weights: ByteSource;
  /** Opens a file that the index names, by its plain file name. */
  readonly openShard?: (file: string) => ByteSource;
  /** config.json; not needed for a checkpoint that has its settings with it. */
  readonly config?: ByteSource | undefined;
  readonly tokenizerFiles?: TokenizerFiles | undefined;
}

/**
 * Reads the pickles, which runs nothing, and the configuration; tensor data stays where it is until asked for. On failure
 * the sources are closed.
 *
 * @throws {CheckpointError} a file is malformed, names what is not on the list, or the tensors are not the configuration's.
 * @throws {ConfigError} the configuration describes no GPT-2, or a variant that is not supported.
 */
export function loadTorch(sources: TorchSources): Checkpoint {
  const { path, weights, config: configFile, tokenizerFiles } = sources;
  const opened = configFile ? [configFile, weights] : [weights];
  return closingOnError(opened, () => {
    const { found, settings, metadata } = sources.openShard ? readShards(sources, opened) : readOne(weights);
    const tensors = locateAll(canonicalNames(found, weights.name));
    const { zeroBiases, ...model } = configOf(tensors, settings, sources);
    const labels = settings === undefined && configFile ? readJsonSource(configFile) : {};
    const head = takeHead(tensors, labels, model.config, configFile?.name ?? weights.name);
    const config = configBeside(head, tensors, model.config);
    const options = { config, weights: weights.name, matrices: matrixOrder(tensors), zeroBiases };
    const stored = matchTensors(tensors, options);
    return {
      format: "pytorch",
      path,
      files: opened.map(({ name, size }) => ({ path: name, size })),
      ...model,
      config,
      dtype: mainDtype(stored.values()),
      tensors: stored,
      ...(head && { head }),
      metadata,
      ...(tokenizerFiles && { tokenizerFiles }),
      close: () => closeAll(opened),
    };
  });
}

/** A tensor that has a name, and has not been looked for yet: those that are not needed may be of any layout. */
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
  const file = readTorchFile(weights);
  const { value } = file;
  if (!(value instanceof Map)) throw torchError(weights.name, "a dict of tensors", quote(value));
  return { found: namedTensors(file, stateDict(value)), settings: settingsOf(value), metadata: progressOf(value) };
}

function readShards({ weights, openShard }: TorchSources, opened: ByteSource[]): Contents {
  const index = readShardIndex(weights, "bin");
  const shards = new Map<string, { source: ByteSource; tensors: Map<string, NamedTensor> }>();
  for (const name of new Set(index.values())) {
    const source = openShard!(name);
    opened.push(source);
    const tensors = readOne(source).found.map((tensor) => [tensor.name, tensor] as const);
    shards.set(name, { source, tensors: new Map(tensors) });
  }
  return { found: [...joinShards(weights.name, index, shards).values()], metadata: {} };
}

/** Where programs keep the tensors: in the dict itself, or under one of these names. */
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
    return { name: withoutWrappers(key), locate: () => file.locate(key, tensor) };
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

function locateAll(found: ReadonlyMap<string, NamedTensor>): Map<string, RawTensor> {
  return new Map([...found].map(([name, tensor]) => [name, tensor.locate()]));
}

function configOf(
  tensors: ReadonlyMap<string, RawTensor>,
  settings: TorchSettings | undefined,
  { config, weights }: TorchSources,
) {
  if (settings === undefined && config !== undefined) {
    const json = readJsonSource(config);
    const minGPT = settingsFromMinGPT(json);
    if (minGPT) return configFromTorch(tensors, minGPT, config.name);
    return { ...configFromHuggingFace(json, config.name), zeroBiases: false };
  }
  return configFromTorch(tensors, settings, weights.name);
}
