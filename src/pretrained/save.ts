import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { TensorSource } from "../checkpoint/encode-tensor.js";
import type { WeightType } from "../dtype/dtype.js";
import { UsageError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { writeFileAtomically, writeFilesAtomically, writeFolderAtomically } from "../util/atomic-write.js";
import { checkOptionNames } from "../util/nearest.js";
import { FORMATS, type Format, type FormatName, formatNamed } from "./formats.js";
import type { StoredSampling } from "./generation-config.js";

export interface ModelToSave {
  readonly config: ModelConfig;
  /**
   * Every tensor of `tensorTable(config)` once, in any order, in memory or still in another file; each is written before
   * the next is taken.
   */
  readonly tensors: Iterable<TensorSource> | AsyncIterable<TensorSource>;
  /** Of a classifier or regressor, whose `score.weight` is then among the tensors. Hugging Face only. */
  readonly head?: TaskHead | undefined;
  /** Written into the file (GGUF) or beside the weights. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Hugging Face: files of the tokenizer's own, copied instead of those that would be written for it. */
  readonly tokenizerFiles?: readonly string[] | undefined;
  /** Where a text starts and ends, if it isn't the tokenizer's `<|endoftext|>`. */
  readonly bosTokenId?: number | undefined;
  readonly eosTokenId?: number | undefined;
  /** Hugging Face: how the model should write, for generation_config.json. */
  readonly sampling?: StoredSampling | undefined;
  /** What is said of the model: strings in the weights' file (Hugging Face), or `general.` name, author, … (GGUF). */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** The formats that can be written. */
export type SaveFormat = Extract<FormatName, "huggingface" | "llm.c" | "gguf">;

export const SAVE_FORMATS = FORMATS.filter(({ write }) => write).map(({ name }) => name as SaveFormat);

export interface SaveOptions {
  /** By the target's name if not given: `.gguf`, `.bin` (llm.c), else a Hugging Face folder. */
  readonly format?: SaveFormat | undefined;
  /** f32 by default. Vectors stay in f32 in GGUF; other formats hold everything in one type. */
  readonly dtype?: WeightType | undefined;
  /** Hugging Face: start another file where one would hold more than this. One file by default. */
  readonly maxShardBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with how many of how many bytes of the weights are written. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes a model, all its files at once or none, never holding more of it in memory than the tensor at hand. In a folder
 * that exists, older weights are removed and other files are left alone.
 *
 * @param path a folder for Hugging Face, else a file.
 * @returns paths of the files that were written, the weights' first where they are one file.
 * @throws {CheckpointError} a tensor is missing, unknown, of the wrong shape, or holds values that the type cannot; the
 *   file system refuses. What was there before is then still there.
 * @throws {ConfigError | UsageError} the format cannot hold this model, or this type.
 */
export async function saveCheckpoint(path: string, model: ModelToSave, options: SaveOptions = {}): Promise<string[]> {
  checkOptionNames("saving a model", options, {
    format: true,
    dtype: true,
    maxShardBytes: true,
    signal: true,
    onProgress: true,
  });
  const format = options.format ? formatNamed(options.format) : formatOfName(path);
  checkType(format, options.dtype);
  if (model.head && format.name !== "huggingface") throw noHead(path, format, model.head);
  const writer = format.write!;
  if ("writeFile" in writer) {
    await writeFileAtomically(path, (file) => writer.writeFile(model, file, path, options));
    return [path];
  }
  const name = basename(path);
  let written: string[] = [];
  const fill = async (folder: string): Promise<void> => {
    await writer.writeFiles(model, { folder, name, path }, options);
    written = (await readdir(folder)).sort();
  };
  if (writer.extension !== undefined) {
    await writeFilesAtomically(dirname(path), fill);
    return [path, ...written.filter((file) => file !== name).map((file) => join(dirname(path), file))];
  }
  await writeFolderAtomically(path, fill, { existing: "merge" });
  await removeOldWeights(path, new Set(written));
  return written.map((file) => join(path, file));
}

/** Weights of an earlier save in as many files as there no longer are. */
async function removeOldWeights(folder: string, written: ReadonlySet<string>): Promise<void> {
  const weights = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;
  for (const name of await readdir(folder)) {
    if (weights.test(name) && !written.has(name)) await rm(join(folder, name));
  }
}

/** The format that a target's name means. @throws {UsageError} a name that is a format's which can't be written. */
export function formatOfName(path: string): Format {
  const named = FORMATS.find(({ write }) => write?.extension !== undefined && path.endsWith(write.extension));
  if (named !== undefined) return named;
  if (!/\.(safetensors|pt|pth|ckpt|h5|onnx|json|index)$/.test(path)) return formatNamed("huggingface");
  throw new UsageError({
    op: `writing ${path}`,
    expected: "a folder, a .gguf or a .bin (llm.c)",
    got: basename(path),
    hint: "A Hugging Face model is a folder: give its name",
  });
}

/** @throws {UsageError} the format can't hold the type. */
export function checkType({ title, write }: Format, dtype: WeightType | undefined): void {
  if (dtype === undefined || write!.dtypes.includes(dtype)) return;
  const hint = "docs/models.md lists which types each format has";
  throw new UsageError({ op: `writing ${title}: dtype`, expected: write!.dtypes.join(" or "), got: dtype, hint });
}

/** For formats that hold language models only. */
function noHead(path: string, { title }: Format, { kind }: TaskHead): UsageError {
  return new UsageError({
    op: `writing ${path}: ${title} format`,
    expected: "a language model",
    got: `a model for ${kind}`,
    hint: "Write a Hugging Face folder",
  });
}
