import type { MetadataEntry } from "../checkpoint/gguf/encode.js";
import type { GgufFile } from "../checkpoint/gguf/read.js";
import type { LlmcDims, LlmcModel } from "../checkpoint/llmc.js";
import type { RawTensor } from "../checkpoint/raw-tensor.js";
import type { JsonObject } from "../checkpoint/strict-json.js";
import { ConfigError } from "../errors.js";
import type { ModelConfig } from "./config.js";
import { SCORE, type TaskHead } from "./task-head.js";
import { HEAD, type TensorSpec } from "./tensor-spec.js";

/**
 * Mappings between an architecture and a file format: the configuration, in both directions, and the names of tensors.
 * Readers and writers of a format know models only through these.
 */

/** The names of tensors in a format. */
export interface TensorNames {
  /** The name in the table of tensors; undefined for tensors that are not part of the model: mask buffers, other heads. */
  tableName(name: string): string | undefined;
  /** The inverse. */
  fileName(name: string): string;
}

/**
 * Names in transformers' files: the table's names below a prefix, except for heads.
 *
 * @param prefix the prefix in classes with a head: `transformer.`; files of the bare model lack it.
 * @param ignored matches names, without the prefix, of tensors that are not part of the model.
 */
export function namesBelow(prefix: string, ignored: RegExp): TensorNames {
  return {
    tableName: (name) => {
      const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
      return ignored.test(bare) ? undefined : bare;
    },
    fileName: (name) => (name === HEAD || name === SCORE ? name : prefix + name),
  };
}

type Stem = readonly [ours: string, theirs: string];

/** Stems, which are tensor names without `.weight` or `.bias`, in the table and in a format. */
export interface Stems {
  readonly outside: readonly Stem[];
  readonly inBlock: readonly Stem[];
  /** The prefix of a block, before its number: `h.` and `blk.`. */
  readonly block: Stem;
}

/** Functions that translate tensor names by their stems. They return undefined for a stem that is not listed. */
export function renamedStems({ outside, inBlock, block }: Stems) {
  const rename = (name: string, from: 0 | 1, to: 0 | 1): string | undefined => {
    const rest = name.startsWith(block[from]) ? name.slice(block[from].length) : "";
    const layer = /^\d+\./.exec(rest)?.[0];
    const tail = layer === undefined ? name : rest.slice(layer.length);
    const end = tail.lastIndexOf(".");
    const stem = (layer === undefined ? outside : inBlock).find((pair) => pair[from] === tail.slice(0, end));
    return stem && `${layer === undefined ? "" : block[to] + layer}${stem[to]}${tail.slice(end)}`;
  };
  return { toFile: (name: string) => rename(name, 0, 1), toTable: (name: string) => rename(name, 1, 0) };
}

/** A mapping of one architecture, by its name in src/architectures/registry.ts. */
export interface ArchitectureMapping {
  readonly architecture: string;
  /** For architectures with several mappings: whether this one writes models of a configuration. */
  holds?(config: ModelConfig): boolean;
}

/**
 * The mapping of a format for writing a model.
 *
 * @param op for the error: `writing model.gguf: GGUF format`
 * @throws {ConfigError} the format does not support its architecture.
 */
export function mappingFor<M extends ArchitectureMapping>(mappings: readonly M[], config: ModelConfig, op: string): M {
  const { architecture } = config;
  const mapping = mappings.find((m) => m.architecture === architecture && (m.holds?.(config) ?? true));
  if (mapping !== undefined) return mapping;
  const expected = mappings.map((m) => m.architecture).join(" or ");
  const hint = "A Hugging Face folder holds every architecture";
  throw new ConfigError({ op, expected, got: architecture, hint });
}

/** transformers' config.json and state dict, also for pickled files with the same names. */
export interface HuggingFaceMapping extends ArchitectureMapping, TensorNames {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** The class in `architectures` of config.json, by the model's parts and task head. */
  classOf(config: ModelConfig, head: TaskHead | undefined): string;
  /** Prefix of the names of the model's classes. */
  readonly classPrefix: RegExp;
  /**
   * @param file the file's path, for errors.
   * @throws {ConfigError} a size is impossible, or the file describes a variant that computes something else.
   */
  readConfig(json: JsonObject, file: string): ModelConfig;
  /** Fields of config.json, without `architectures`, `model_type`, special tokens and dtype. */
  writeConfig(config: ModelConfig): JsonObject;
  /** The configuration without the parts that a file has no tensors of, for architectures with optional parts. */
  withPartsOf?(config: ModelConfig, found: ReadonlyMap<string, unknown>): ModelConfig;
  /** A tensor as the table has it, by its name there, where files hold it in another layout. */
  logical?(name: string, tensor: RawTensor): RawTensor;
  /** Names in files of tensors that are the same as others, by the name of the other. */
  readonly copies?: ReadonlyMap<string, string>;
  /** The order of dimensions in a pickled file of matrices that the table marks as Conv1D, if programs differ. */
  matrixOrder?(tensors: ReadonlyMap<string, RawTensor>): "in_out" | "out_in";
}

/** Settings of a model saved by another PyTorch program, by that program's names. */
export interface TorchSettings {
  readonly fields: ReadonlyMap<unknown, unknown>;
  /** Their place in the file, for errors: `model_args`. */
  readonly where: string;
}

/** PyTorch programs other than transformers, with the tensor names of a {@link HuggingFaceMapping}. */
export interface TorchMapping {
  /** The settings in a config.json that is not transformers', if it is this program's. */
  settingsFromJson(json: JsonObject): TorchSettings | undefined;
  /**
   * Reads sizes from the tensors, the rest from the settings.
   *
   * @param tensors by their names in the table.
   * @throws {ConfigError} sizes contradict each other, or settings belong to another model.
   */
  readConfig(tensors: ReadonlyMap<string, RawTensor>, settings: TorchSettings | undefined, file: string): TorchConfig;
}

export interface TorchConfig {
  readonly config: ModelConfig;
  /** Whether the model has no biases. They are then zero. */
  readonly zeroBiases: boolean;
}

export interface GgufMapping extends ArchitectureMapping, TensorNames {
  /** `general.architecture`. */
  readonly ggufArchitecture: string;
  /** @throws {CheckpointError | ConfigError} a key is missing or of another type, or a size is impossible. */
  readConfig(file: GgufFile): ModelConfig;
  /** @throws {ConfigError} llama.cpp does not compute this variant. */
  writeConfig(config: ModelConfig, file: string): MetadataEntry[];
  /** The configuration of the parts that files hold, if they do not hold a whole model. */
  held?(config: ModelConfig): ModelConfig;
}

export interface LlmcMapping extends ArchitectureMapping {
  readConfig(model: LlmcModel): ModelConfig;
  /** @throws {ConfigError} llm.c's format cannot describe this model. */
  writeConfig(config: ModelConfig, file: string): LlmcDims;
  /** Position in the file, in bytes, of a tensor of the table. */
  offset(spec: TensorSpec, layout: Pick<LlmcModel, "tensors" | "dtype">): number;
}

/** A configuration in JSON, and variables of TensorFlow. */
export interface TensorFlowMapping extends TensorNames {
  /** The file with the configuration: `hparams.json`. */
  readonly configFile: string;
  /** The same as in {@link HuggingFaceMapping}. */
  withPartsOf?(config: ModelConfig, found: ReadonlyMap<string, unknown>): ModelConfig;
  /** A variable in the table's layout, if files have another layout. */
  logical(variable: string, tensor: RawTensor): RawTensor;
  /** @throws {ConfigError} a size is missing or impossible. */
  readConfig(json: JsonObject, file: string): ModelConfig;
}

/** Runs `make`, and adds the file's name to a ConfigError. */
export function namingFile<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError({ ...error.details, op: `reading ${file}: ${error.details.op}` });
  }
}
