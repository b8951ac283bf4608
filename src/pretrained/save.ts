import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { TaskHead } from "../architectures/task-head.js";
import type { WeightType } from "../dtype/dtype.js";
import { UsageError } from "../errors.js";
import { writeFileAtomically, writeFilesAtomically, writeFolderAtomically } from "../util/atomic-write.js";
import { checkOptionNames } from "../util/nearest.js";
import { FORMATS, type Format, formatNamed } from "./formats.js";
import type { ModelToSave, SaveFormat, SaveOptions } from "./model-to-save.js";

/** The names of the formats that can be written. */
export const SAVE_FORMATS = FORMATS.filter(({ write }) => write).map(({ name }) => name as SaveFormat);

/**
 * Writes a model, all of its files or none, with one tensor in memory at a time. In an existing folder, older weights are
 * removed and other files stay.
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
    await writeFilesAtomically(dirname(path), fill, { last: name });
    return [path, ...written.filter((file) => file !== name).map((file) => join(dirname(path), file))];
  }
  await writeFolderAtomically(path, fill, { existing: (file) => !WEIGHTS.test(file) });
  return written.map((file) => join(path, file));
}

/** Weights of an earlier save, which may have had another number of files. */
const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;

/** The format of a target, by its name. @throws {UsageError} that format cannot be written. */
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

/** @throws {UsageError} the format cannot hold the dtype. */
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
