import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileOperation, openFileSource } from "../../../checkpoint/file-source.js";
import { quote } from "../../../checkpoint/quote.js";
import { CheckpointError } from "../../../errors.js";
import type { Checkpoint, TokenizerFiles } from "../../checkpoint.js";
import { loadTensorFlow } from "./load.js";

/**
 * Opens a checkpoint of OpenAI's by one of its .index files, or by its hparams.json: then it is the one that the file
 * `checkpoint` beside it names, or the only one there.
 *
 * @param path what the user gave, for messages.
 */
export function openTensorFlow(file: string, path: string): Checkpoint {
  const folder = dirname(file);
  const hparams = join(folder, "hparams.json");
  if (!existsSync(hparams)) {
    const hint = "It gives the model's sizes, and belongs in the same folder as the weights";
    throw new CheckpointError({ op: `opening ${path}`, expected: hparams, got: "no such file", hint });
  }
  const index = file.endsWith(".index") ? file : join(folder, findIndex(folder, path));
  const source = openFileSource(index);
  try {
    return loadTensorFlow({
      path,
      hparams: openFileSource(hparams),
      index: source,
      openData: (suffix) => openFileSource(index.replace(/\.index$/, suffix)),
      tokenizerFiles: tokenizerFilesIn(folder),
    });
  } catch (error) {
    source.close();
    throw error;
  }
}

/** TensorFlow's CheckpointState, a protocol buffer as text, names the last checkpoint by the path it was written to. */
const LATEST = /^model_checkpoint_path: "([^"\n]*)"/m;
const MAX_STATE_BYTES = 2 ** 20;

function findIndex(folder: string, path: string): string {
  const state = join(folder, "checkpoint");
  if (existsSync(state)) {
    const source = openFileSource(state);
    const text = new TextDecoder("latin1").decode(source.bytes(0, Math.min(source.size, MAX_STATE_BYTES)).slice());
    source.close();
    const [, latest] = LATEST.exec(text) ?? [];
    // The path may be another machine's.
    if (latest !== undefined) return `${basename(latest.replaceAll("\\\\", "/"))}.index`;
    throw new CheckpointError({ op: `reading ${state}`, expected: "model_checkpoint_path", got: quote(text) });
  }
  const names = fileOperation(`opening ${folder}`, () => readdirSync(folder)).filter((name) => name.endsWith(".index"));
  if (names.length === 1) return names[0]!;
  const hint = names.length > 1 ? "Give the path of one of them" : undefined;
  throw new CheckpointError({
    op: `opening ${path}`,
    expected: "a TensorFlow checkpoint (model.ckpt.index)",
    got: names.length === 0 ? "hparams.json without one" : `${names.length} and no file checkpoint`,
    ...(hint && { hint }),
  });
}

function tokenizerFilesIn(folder: string): TokenizerFiles | undefined {
  const [vocabJson, mergesTxt] = [join(folder, "encoder.json"), join(folder, "vocab.bpe")];
  return existsSync(vocabJson) && existsSync(mergesTxt) ? { vocabJson, mergesTxt } : undefined;
}
