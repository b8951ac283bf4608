import { BERT_TENSORFLOW } from "../../architectures/bert/formats/tensorflow.js";
import { GPT2_TENSORFLOW } from "../../architectures/gpt2/formats/tensorflow.js";
import type { TensorFlowMapping } from "../../architectures/mapping.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import { readJsonSource } from "../../checkpoint/strict-json.js";
import { readTensorBundle } from "../../checkpoint/tensorflow/tensor-bundle.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { type Checkpoint, mainDtype } from "../checkpoint.js";
import { matchTensors } from "../match-tensors.js";
import { CONFIG_HINT, type ModelFiles, readingFiles, tokenizerFilesIn } from "../model-files.js";

/** Programs by the names of their configurations. */
const MAPPINGS: readonly TensorFlowMapping[] = [GPT2_TENSORFLOW, BERT_TENSORFLOW];

/**
 * Reads the configuration and the index of a checkpoint of OpenAI's GPT-2 or Google's BERT. Tensor data stays in the files until
 * it is used, and is then compared with its checksum.
 *
 * @param file one of the folder's .index files, or the configuration: then the checkpoint is the one that the file
 *   `checkpoint` names, or the only one there.
 * @throws {CheckpointError} a file is missing or malformed, or the tensors are not those of the configuration.
 * @throws {ConfigError} the configuration does not describe such a model.
 */
export function openTensorFlow(file: string, files: ModelFiles): Checkpoint {
  return readingFiles(files, (opened) => {
    const mapping = MAPPINGS.find(({ configFile }) => files.has(configFile)) ?? GPT2_TENSORFLOW;
    const { configFile, readConfig, logical, withPartsOf, tableName, fileName: nameInFile } = mapping;
    const settings = opened.need(configFile, CONFIG_HINT);
    const indexName = file.endsWith(".index") ? file : findIndex(files, configFile);
    const index = opened.open(indexName);
    const described = readConfig(readJsonSource(settings), settings.name);
    const stem = indexName.replace(/\.index$/, "");
    const found = new Map<string, RawTensor>();
    for (const { name, locate } of readTensorBundle(index, (suffix) => opened.open(stem + suffix))) {
      const ours = tableName(name);
      if (ours !== undefined) found.set(ours, logical(name, locate()));
    }
    const config = withPartsOf?.(described, found) ?? described;
    const tensors = matchTensors(found, { config, weights: index.name, matrices: "in_out", nameInFile });
    return {
      format: "tensorflow",
      ...opened.describe(),
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      metadata: {},
      ...(mapping === BERT_TENSORFLOW ? tokenizerFilesIn(files, { vocabTxt: "vocab.txt" }) : openAiTokenizer(files)),
    };
  });
}

/** TensorFlow's CheckpointState, a protocol buffer as text, names the last checkpoint by the path it was written to. */
const LATEST = /^model_checkpoint_path: "([^"\n]*)"/m;
const MAX_STATE_BYTES = 2 ** 20;

function findIndex(files: ModelFiles, configFile: string): string {
  if (files.has("checkpoint")) {
    const source = files.open("checkpoint");
    const text = new TextDecoder("latin1").decode(source.bytes(0, Math.min(source.size, MAX_STATE_BYTES)).slice());
    source.close();
    const [, latest] = LATEST.exec(text) ?? [];
    // The path may come from another machine.
    if (latest !== undefined) return `${latest.replace(/^.*[/\\]/, "")}.index`;
    const op = `reading ${files.pathOf("checkpoint")}`;
    throw new CheckpointError({ op, expected: "model_checkpoint_path", got: quote(text) });
  }
  const names = files.names().filter((name) => name.endsWith(".index"));
  if (names.length === 1) return names[0]!;
  const hint = names.length > 1 ? "Give the path of one of them" : undefined;
  throw new CheckpointError({
    op: `opening ${files.path}`,
    expected: "a TensorFlow checkpoint (model.ckpt.index)",
    got: names.length === 0 ? `${configFile} without one` : `${names.length} and no file checkpoint`,
    ...(hint && { hint }),
  });
}

/** A checkpoint needs both files. */
const openAiTokenizer = (files: ModelFiles) =>
  files.has("encoder.json") && files.has("vocab.bpe")
    ? tokenizerFilesIn(files, { vocabJson: "encoder.json", mergesTxt: "vocab.bpe" })
    : {};
