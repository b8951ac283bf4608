import type { Pooling } from "../../../architectures/architecture.js";
import { BERT_GGUF } from "../../../architectures/bert/formats/gguf.js";
import { GPT2_GGUF } from "../../../architectures/gpt2/formats/gguf.js";
import type { GgufMapping } from "../../../architectures/mapping.js";
import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import { readGguf } from "../../../checkpoint/gguf/read.js";
import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import { quote } from "../../../util/quote.js";
import { type Checkpoint, mainDtype } from "../../checkpoint.js";
import { matchTensors } from "../../match-tensors.js";
import { type ModelFiles, readingFiles } from "../../model-files.js";
import { hasTokenizer, MODEL, specialIdsFromGguf } from "./tokenizer-keys.js";

/** Architectures by their names in `general.architecture`. */
export const GGUF_MAPPINGS: readonly GgufMapping[] = [GPT2_GGUF, BERT_GGUF];

/**
 * Reads the header of a GGUF file. Tensor data stays in the file until it is used.
 *
 * @throws {CheckpointError} the file is malformed, or is not a model of a known architecture.
 * @throws {ConfigError} a size is impossible.
 */
export function openGguf(name: string, files: ModelFiles): Checkpoint {
  return readingFiles(files, (opened) => {
    const file = readGguf(opened.open(name));
    const { source, metadata } = file;
    const { readConfig, tableName, fileName } = mappingOf(metadata);
    const config = readConfig(file);
    const byName = new Map<string, RawTensor>();
    for (const tensor of file.tensors.values()) {
      const known = tableName(tensor.name);
      if (known !== undefined) byName.set(known, tensor);
    }
    const tensors = matchTensors(byName, { config, weights: source.name, matrices: "out_in", nameInFile: fileName });
    return {
      format: "gguf",
      ...opened.describe(),
      path: source.name,
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      metadata: describe(metadata),
      ...specialIdsFromGguf(metadata, config.vocabSize),
      // Made on demand, while other threads load the weights.
      ...sentenceOf(metadata),
      ...(metadata.string(MODEL) === "bert" && {
        loadWordPiece: async () => (await import("./word-piece.js")).wordPieceFromGguf(metadata, source.name),
      }),
      ...(hasTokenizer(metadata) && {
        loadTokenizer: async () => (await import("./tokenizer.js")).tokenizerFromGguf(metadata, source.name),
      }),
    };
  });
}

function mappingOf(metadata: GgufMetadata): GgufMapping {
  const name = metadata.string("general.architecture");
  const mapping = GGUF_MAPPINGS.find(({ ggufArchitecture }) => ggufArchitecture === name);
  if (mapping === undefined) {
    const expected = GGUF_MAPPINGS.map(({ ggufArchitecture }) => quote(ggufArchitecture)).join(" or ");
    throw metadata.error("general.architecture", expected, "Only GPT-2 and BERT models can be read");
  }
  if ((metadata.string("general.type") ?? "model") !== "model") {
    throw metadata.error("general.type", '"model"', "This file is not a whole model");
  }
  if ((metadata.number("split.count") ?? 1) > 1) {
    throw metadata.error("split.count", "one file", "Join the parts with llama.cpp's gguf-split --merge");
  }
  return mapping;
}

/** Pooling by llama.cpp's numbers; 0 is none. It scales vectors to length 1. */
const POOLINGS: Readonly<Record<number, Pooling>> = { 1: "mean", 2: "first", 3: "last" };
const POOLING_KEY = "bert.pooling_type";

function sentenceOf(metadata: GgufMetadata): Pick<Checkpoint, "sentence"> {
  const pooling = POOLINGS[metadata.number(POOLING_KEY) ?? 0];
  return pooling ? { sentence: { pooling, normalize: true, maxLength: undefined } } : {};
}

/** The inverse. */
export function poolingToGguf(pooling: Pooling | undefined): MetadataEntry[] {
  const number = Object.keys(POOLINGS).find((key) => POOLINGS[Number(key)] === pooling);
  return number === undefined ? [] : [[POOLING_KEY, "u32", Number(number)]];
}

/** Longest text to show. */
const LONGEST = 1000;

const GENERAL = "general.";
/** Keys that are checked elsewhere: they say that the file is a model, and of this architecture. */
const KNOWN = ["architecture", "type"];

/** Texts about the model: name, author, license, … */
function describe(metadata: GgufMetadata): Record<string, string> {
  const texts = new Map<string, string>();
  for (const key of metadata.keys()) {
    if (!key.startsWith(GENERAL) || metadata.typeOf(key) !== "string") continue;
    const name = key.slice(GENERAL.length);
    if (!KNOWN.includes(name)) texts.set(name, metadata.string(key)!.slice(0, LONGEST));
  }
  return Object.fromEntries(texts);
}
