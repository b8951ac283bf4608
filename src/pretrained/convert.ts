import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { architectureOf, tensorTable } from "../architectures/registry.js";
import { heldAs } from "../architectures/weight-types.js";
import { WEIGHT_TYPES, type WeightType } from "../dtype/dtype.js";
import type { StoredDtype } from "../dtype/stored.js";
import { CheckpointError, UsageError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkOptionNames } from "../util/nearest.js";
import type { Checkpoint } from "./checkpoint.js";
import { llmcTokenizerFiles } from "./formats/llmc-write.js";
import { type Format, type FormatName, formatNamed } from "./formats.js";
import { type OpenOptions, openWithAdapter } from "./load.js";
import { sentenceModulesOf, wordPieceOf } from "./load-bert.js";
import { LOCATE_OPTIONS } from "./locate-options.js";
import type { SaveFormat } from "./model-to-save.js";
import { checkType, formatOfName, SAVE_FORMATS, saveCheckpoint } from "./save.js";
import { tokenizerOf } from "./tokenizer.js";

/** The formats that can be written. */
export type ConvertFormat = SaveFormat;
export const CONVERT_FORMATS = SAVE_FORMATS;

export interface ConvertOptions extends Omit<OpenOptions, "adapters"> {
  /** Default: by the target's name, `.gguf`, `.bin` (llm.c), else a Hugging Face folder. */
  readonly to?: ConvertFormat | undefined;
  /** Storage dtype of the weights. Default: the source's if the format has it, else f32. q8_0 and q4_0: GGUF only. */
  readonly dtype?: WeightType | undefined;
  /** Hugging Face: most bytes of tensors in a file. */
  readonly maxShardBytes?: number | undefined;
  /** Replace what is there. */
  readonly overwrite?: boolean | undefined;
  /** Called with the number of bytes of weights written so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface FileSize {
  readonly path: string;
  readonly size: number;
}

export interface ConvertedModel {
  readonly from: {
    readonly path: string;
    readonly format: FormatName;
    readonly dtype: StoredDtype;
    readonly files: readonly FileSize[];
  };
  readonly path: string;
  readonly format: ConvertFormat;
  readonly dtype: WeightType;
  /** Matrices in another dtype, because their rows are not whole blocks of `dtype`. */
  readonly others: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: WeightType }[];
  /** All written files. */
  readonly files: readonly FileSize[];
  /** Number of tokens of the tokenizer, which is converted too; undefined if the model has none. */
  readonly tokenizer: number | undefined;
}

/**
 * Converts any model that can be opened to another format or dtype, with its tokenizer: into the GGUF file, or beside the
 * weights (`gpt2_tokenizer.bin` and tokenizer.json for llm.c; tokenizer.json, vocab.json and merges.txt in a Hugging Face
 * folder). Keeps one tensor in memory at a time. The target appears as a whole or not at all.
 *
 * @param from as for `GPT2.load`. Default: the model that the adapter to merge belongs to, else the package's own.
 * @throws {UsageError} the target exists, or the format cannot hold the dtype.
 * @throws {ConfigError} the format cannot hold the model.
 * @throws {CheckpointError | TokenizerError} the source is malformed, or the file system refuses.
 * @throws {DownloadError} the source can't be fetched.
 */
export async function convertModel(
  from: string | undefined,
  to: string,
  options: ConvertOptions = {},
): Promise<ConvertedModel> {
  checkOptionNames("converting a model", options, {
    ...LOCATE_OPTIONS,
    merge: true,
    to: true,
    dtype: true,
    maxShardBytes: true,
    overwrite: true,
    onProgress: true,
  });
  const format = options.to ? formatNamed(options.to) : formatOfName(to);
  checkType(format, options.dtype);
  if (!options.overwrite) refuseToReplace(to, format);
  const checkpoint = await openWithAdapter(from, options);
  try {
    const dtype = options.dtype ?? defaultType(format, checkpoint.dtype);
    const reads = architectureOf(checkpoint.config).attention === "bidirectional";
    const tokenizer = reads ? undefined : await tokenizerOf(checkpoint);
    const wordPiece = reads ? await wordPieceOf(checkpoint) : undefined;
    const sentence = reads ? sentenceModulesOf(checkpoint) : undefined;
    if (!options.overwrite && format.name === "llm.c") refuseOtherTokenizer(dirname(to), tokenizer);
    await makeFolder(dirname(resolve(to)), to);
    const { maxShardBytes, signal, onProgress } = options;
    const written = await saveCheckpoint(
      to,
      { ...modelToSave(checkpoint, format, tokenizer), wordPiece, sentence },
      {
        format: format.name as SaveFormat,
        dtype,
        maxShardBytes,
        signal,
        onProgress,
      },
    );
    const { path, files, dtype: was } = checkpoint;
    return {
      from: { path, format: checkpoint.format, dtype: was, files },
      path: to,
      format: format.name as SaveFormat,
      dtype,
      others: format.name === "gguf" ? otherTypes(checkpoint, dtype) : [],
      files: written.map((file) => ({ path: file, size: statSync(file).size })),
      tokenizer: (tokenizer ?? wordPiece)?.vocabSize,
    };
  } finally {
    checkpoint.close();
  }
}

function modelToSave(checkpoint: Checkpoint, { name: format }: Format, tokenizer: Tokenizer | undefined) {
  const { config, tensors, head, bosTokenId, eosTokenIds, sampling, metadata } = checkpoint;
  return {
    config,
    tensors: [...tensors.values(), ...(head?.tensors.values() ?? [])],
    head,
    tokenizer,
    tokenizerFiles: tokenizerFilesOf(checkpoint),
    bosTokenId,
    eosTokenIds,
    sampling,
    // A file's description of its model is specific to the format.
    metadata: {
      ...(format === "gguf" && { name: stemOf(checkpoint.path) }),
      ...(format === checkpoint.format && metadata),
    },
  };
}

/** Files with more about a tokenizer than tokens and merges. */
const TOKENIZER_EXTRAS = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/** All files of a Hugging Face tokenizer beside a model. */
function tokenizerFilesOf({ tokenizerFiles = {} }: Checkpoint): string[] {
  const { tokenizerJson, vocabJson, mergesTxt, vocabTxt } = tokenizerFiles;
  const own = [tokenizerJson, vocabJson, mergesTxt, vocabTxt].filter((path) => path !== undefined);
  const folder = own[0] && dirname(own[0]);
  const extras = folder === undefined ? [] : TOKENIZER_EXTRAS.map((name) => join(folder, name));
  return [...own, ...extras.filter((path) => existsSync(path))];
}

/** Common file names: a model in such a file is named after its folder. */
const COMMON_STEMS = ["model", "pytorch_model", "ckpt", "weights"];

/** The name of a model by its path: the folder's, or the file's without extension and type. */
export function stemOf(model: string): string {
  const path = resolve(model);
  const name = basename(path).replace(/\.(safetensors|gguf|bin|pt|ckpt|json)$/, "");
  const stem = COMMON_STEMS.includes(name) ? basename(dirname(path)) : name;
  return stem.replace(new RegExp(`[-.](${WEIGHT_TYPES.join("|")})$`, "i"), "");
}

function otherTypes({ config }: Checkpoint, dtype: WeightType): ConvertedModel["others"] {
  return tensorTable(config).flatMap((spec) => {
    const { name, shape, init } = spec;
    const held = heldAs(spec, dtype);
    return shape.length === 2 && init !== "position" && held !== dtype ? [{ name, shape, dtype: held }] : [];
  });
}

async function makeFolder(path: string, to: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const got = (cause as Error).message;
    throw new CheckpointError({ op: `writing ${to}`, expected: `a folder ${path}`, got, cause });
  }
}

function defaultType({ write }: Format, source: StoredDtype): WeightType {
  return write!.dtypes.find((dtype) => dtype === source) ?? "f32";
}

const MODEL_FILES = [
  /^(generation_)?config\.json$/,
  /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/,
  /^(tokenizer|vocab|tokenizer_config|special_tokens_map|added_tokens)\.json$|^(merges|vocab)\.txt$/,
];

/** The target may be a folder as long as it contains no model. */
function refuseToReplace(to: string, { write }: Format): void {
  if (!existsSync(to)) return;
  if (write!.extension !== undefined || !statSync(to).isDirectory()) throw alreadyThere(to, to);
  const taken = readdirSync(to).find((name) => MODEL_FILES.some((pattern) => pattern.test(name)));
  if (taken !== undefined) throw alreadyThere(to, join(to, taken));
}

/** @throws {UsageError} files of another tokenizer are beside the llm.c model. */
function refuseOtherTokenizer(folder: string, tokenizer: Tokenizer | undefined): void {
  for (const [name, content] of llmcTokenizerFiles(tokenizer)) {
    const path = join(folder, name);
    if (existsSync(path) && !readFileSync(path).equals(content)) throw alreadyThere(folder, path);
  }
}

function alreadyThere(to: string, taken: string): UsageError {
  const hint = "Choose another name, or --overwrite (in code: overwrite: true)";
  return new UsageError({ op: `converting to ${to}`, expected: "nothing there", got: taken, hint });
}
