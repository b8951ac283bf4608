import type { ByteSource } from "../../../checkpoint/byte-source.js";
import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import { readJsonSource } from "../../../checkpoint/safetensors-index.js";
import { readTensorBundle } from "../../../checkpoint/tensorflow/tensor-bundle.js";
import { type Checkpoint, mainDtype, type TokenizerFiles } from "../../checkpoint.js";
import { matchTensors } from "../../names/match-tensors.js";
import {
  configFromHparams,
  nameFromTensorFlow,
  nameInTensorFlow,
  withoutWidth,
} from "../../names/state-dict-tensorflow.js";
import { closeAll, closingOnError } from "../huggingface.js";

/** The files of a checkpoint of OpenAI's, however they are reached. */
export interface TensorFlowSources {
  /** What to call the whole in messages. */
  readonly path: string;
  /** hparams.json */
  readonly hparams: ByteSource;
  /** model.ckpt.index */
  readonly index: ByteSource;
  /** Opens a data file by the end of its name, `.data-00000-of-00001`. */
  readonly openData: (suffix: string) => ByteSource;
  /** encoder.json and vocab.bpe */
  readonly tokenizerFiles?: TokenizerFiles | undefined;
}

/**
 * Reads the configuration and the index; tensor data stays where it is until asked for, and is then compared with its
 * checksum. On failure the sources are closed.
 *
 * @throws {CheckpointError} a file is malformed, or the tensors are not those of the configuration.
 * @throws {ConfigError} hparams.json describes no GPT-2.
 */
export function loadTensorFlow(sources: TensorFlowSources): Checkpoint {
  const { path, hparams, index, tokenizerFiles } = sources;
  const opened = [hparams, index];
  return closingOnError(opened, () => {
    const config = configFromHparams(readJsonSource(hparams), hparams.name);
    const openData = (suffix: string): ByteSource => {
      const source = sources.openData(suffix);
      opened.push(source);
      return source;
    };
    const found = new Map<string, RawTensor>();
    for (const { name, locate } of readTensorBundle(index, openData)) {
      const ours = nameFromTensorFlow(name);
      if (ours !== undefined) found.set(ours, withoutWidth(locate()));
    }
    const options = { config, weights: index.name, matrices: "in_out", nameInFile: nameInTensorFlow } as const;
    const tensors = matchTensors(found, options);
    return {
      format: "tensorflow",
      path,
      files: opened.map(({ name, size }) => ({ path: name, size })),
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      metadata: {},
      ...(tokenizerFiles && { tokenizerFiles }),
      close: () => closeAll(opened),
    };
  });
}
