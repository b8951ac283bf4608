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
 * Names of transformers' files: the table's below a prefix, but for heads.
 *
 * @param prefix of the model's tensors in classes with a head: `transformer.`; files of the bare model lack it.
 * @param ignored names, without the prefix, of tensors that are not part of the model.
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

/** A mapping of one architecture, by its name in src/architectures/registry.ts. */
export interface ArchitectureMapping {
  readonly architecture: string;
  /** Whether files of this kind hold a model of this configuration, where the architecture has several. */
  holds?(config: ModelConfig): boolean;
}

/**
 * The mapping of a format for a model to be written.
 *
 * @param op for the error: `writing model.gguf: GGUF format`
 * @throws {ConfigError} the format does not hold its architecture.
 */
export function mappingFor<M extends ArchitectureMapping>(mappings: readonly M[], config: ModelConfig, op: string): M {
  const { architecture } = config;
  const mapping = mappings.find((m) => m.architecture === architecture && (m.holds?.(config) ?? true));
  if (mapping !== undefined) return mapping;
  const expected = mappings.map((m) => m.architecture).join(" or ");
  const hint = "A Hugging Face folder holds every architecture";
  throw new ConfigError({ op, expected, got: architecture, hint });
}

/** transformers' config.json and state dict. Pickled files of the same names use it too. */
export interface HuggingFaceMapping extends ArchitectureMapping, TensorNames {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** The class in `architectures` of config.json, by the parts that a model has and its head for a task. */
  classOf(config: ModelConfig, head: TaskHead | undefined): string;
  /** How the names of the model's classes begin. */
  readonly classPrefix: RegExp;
  /**
   * @param file the file's path, for errors.
   * @throws {ConfigError} sizes that no such model has, or a variant that computes something else.
   */
  readConfig(json: JsonObject, file: string): ModelConfig;
  /** Fields of config.json, without `architectures`, `model_type`, special tokens and dtype. */
  writeConfig(config: ModelConfig): JsonObject;
  /** The configuration without the parts of which a file has no tensors, where models may lack some. */
  withPartsOf?(config: ModelConfig, found: ReadonlyMap<string, unknown>): ModelConfig;
  /** A tensor as the table has it, by its name there, where files hold it in another layout. */
  logical?(name: string, tensor: RawTensor): RawTensor;
  /** Names in files of tensors that are the same as others, by the name of the other. */
  readonly copies?: ReadonlyMap<string, string>;
  /** How a pickled file holds the matrices that the table marks as Conv1D, where programs differ. */
  matrixOrder?(tensors: ReadonlyMap<string, RawTensor>): "in_out" | "out_in";
}

/** Settings of a model saved by another PyTorch program, by their own names. */
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
   * Sizes from the tensors, the rest from the settings.
   *
   * @param tensors by their names in the table.
   * @throws {ConfigError} sizes that contradict each other, or settings of another model.
   */
  readConfig(tensors: ReadonlyMap<string, RawTensor>, settings: TorchSettings | undefined, file: string): TorchConfig;
}

export interface TorchConfig {
  readonly config: ModelConfig;
  /** Whether the model was made without biases, which are zero then. */
  readonly zeroBiases: boolean;
}

export interface GgufMapping extends ArchitectureMapping, TensorNames {
  /** `general.architecture`. */
  readonly ggufArchitecture: string;
  /** @throws {CheckpointError | ConfigError} a key is missing, of another type, or a size that no such model has. */
  readConfig(file: GgufFile): ModelConfig;
  /** @throws {ConfigError} a variant that llama.cpp does not compute. */
  writeConfig(config: ModelConfig, file: string): MetadataEntry[];
  /** The configuration of the parts that files hold, where that is not all of a model. */
  held?(config: ModelConfig): ModelConfig;
}

export interface LlmcMapping extends ArchitectureMapping {
  readConfig(model: LlmcModel): ModelConfig;
  /** @throws {ConfigError} a model that llm.c's format cannot describe. */
  writeConfig(config: ModelConfig, file: string): LlmcDims;
  /** Position in the file, in bytes, of a tensor of the table. */
  offset(spec: TensorSpec, layout: Pick<LlmcModel, "tensors" | "dtype">): number;
}

/** A configuration in JSON, and TensorFlow's variables. */
export interface TensorFlowMapping extends TensorNames {
  /** The file with the configuration: `hparams.json`. */
  readonly configFile: string;
  /** As in {@link HuggingFaceMapping}. */
  withPartsOf?(config: ModelConfig, found: ReadonlyMap<string, unknown>): ModelConfig;
  /** A variable as the table of tensors has it, where files hold it in another layout. */
  logical(variable: string, tensor: RawTensor): RawTensor;
  /** @throws {ConfigError} a size is missing, or none that such a model has. */
  readConfig(json: JsonObject, file: string): ModelConfig;
}

/** Runs `make`, adding the name of the file to a ConfigError. */
export function namingFile<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError({ ...error.details, op: `reading ${file}: ${error.details.op}` });
  }
}
