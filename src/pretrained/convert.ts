import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { numel } from "../architectures/tensor-spec.js";
import { WEIGHT_TYPES, type WeightType } from "../dtype/dtype.js";
import type { StoredDtype } from "../dtype/stored.js";
import { CheckpointError, TokenizerError, UsageError } from "../errors.js";
import { saveTokenizer } from "../tokenizer/files.js";
import { writeLlmcTokenizer } from "../tokenizer/llmc-file.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { writeFileAtomically } from "../util/atomic-write.js";
import type { Checkpoint, CheckpointFormat } from "./checkpoint.js";
import { type OpenOptions, openWithAdapter, tokenizerOf } from "./load.js";
import { type NamedTensor, type SaveDtype, type SaveFormat, saveCheckpoint, saveGguf } from "./node.js";
import { noHead } from "./save.js";

/** What can be written. */
export type ConvertFormat = SaveFormat | "gguf";

export const CONVERT_FORMATS: readonly ConvertFormat[] = ["huggingface", "llm.c", "gguf"];

export interface ConvertOptions extends Omit<OpenOptions, "adapters"> {
  /** By the target's name if not given: `.gguf`, `.bin` (llm.c), else a Hugging Face folder. */
  readonly to?: ConvertFormat | undefined;
  /** What the weights are held in; by default as in the source where the format can, else f32. q8_0, q4_0: GGUF only. */
  readonly dtype?: WeightType | undefined;
  /** Hugging Face: start another file where one would hold more than this. */
  readonly maxShardBytes?: number | undefined;
  /** Replace what is there. */
  readonly overwrite?: boolean | undefined;
  /** Told how many of how many bytes of parameters are done (in the source's type). */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface ConvertedModel {
  readonly from: { readonly path: string; readonly format: CheckpointFormat; readonly dtype: StoredDtype };
  readonly path: string;
  readonly format: ConvertFormat;
  readonly dtype: WeightType;
  /** Everything that was written. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** Tokens of the tokenizer that went along; undefined if the model has none. */
  readonly tokenizer: number | undefined;
}

/**
 * Writes any model that can be opened in another format, with its tokenizer: into the GGUF file, or beside the weights
 * (`gpt2_tokenizer.bin` and tokenizer.json beside llm.c's; a Hugging Face folder gets tokenizer.json, vocab.json and
 * merges.txt). Holds one tensor at a time.
 *
 * @param from as for `GPT2.load`; without it the model that the adapter to merge is for.
 * @throws {UsageError} something is there already, or the format cannot hold the type.
 * @throws {ConfigError} the format cannot hold the model.
 * @throws {CheckpointError | TokenizerError} the source is malformed, or the file system refuses.
 * @throws {DownloadError} the source can't be fetched.
 */
export async function convertModel(
  from: string | undefined,
  to: string,
  options: ConvertOptions = {},
): Promise<ConvertedModel> {
  const format = options.to ?? formatOfName(to);
  checkType(format, options.dtype);
  if (!options.overwrite) refuseToReplace(to, format);
  const checkpoint = await openWithAdapter(from, options);
  try {
    const dtype = options.dtype ?? defaultType(format, checkpoint.dtype);
    const tokenizer = await tokenizerOf(checkpoint);
    const beside =
      format === "llm.c" ? llmcTokenizers(dirname(to), tokenizer, options.overwrite) : new Map<string, Uint8Array>();
    await makeFolder(dirname(resolve(to)), to);
    await write({ checkpoint, to, format, dtype, tokenizer }, options);
    for (const [path, content] of beside) await writeFileAtomically(path, content, TokenizerError);
    return {
      from: { path: checkpoint.path, format: checkpoint.format, dtype: checkpoint.dtype },
      path: to,
      format,
      dtype,
      files: [...mainFiles(to, format), ...beside.keys()].map((path) => ({ path, size: statSync(path).size })),
      tokenizer: tokenizer?.vocabSize,
    };
  } finally {
    checkpoint.close();
  }
}

async function makeFolder(path: string, to: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const got = (cause as Error).message;
    throw new CheckpointError({ op: `writing ${to}`, expected: `a folder ${path}`, got, cause });
  }
}

/** @throws {UsageError} a name that is another format's. */
export function formatOfName(to: string): ConvertFormat {
  if (to.endsWith(".gguf")) return "gguf";
  if (to.endsWith(".bin")) return "llm.c";
  if (!/\.(safetensors|pt|pth|ckpt|h5|onnx|json|index)$/.test(to)) return "huggingface";
  const hint = "A Hugging Face model is a folder: give its name";
  throw new UsageError({
    op: `converting to ${to}`,
    expected: "a folder, a .gguf or a .bin (llm.c)",
    got: basename(to),
    hint,
  });
}

const TYPES: Readonly<Record<ConvertFormat, readonly WeightType[]>> = {
  huggingface: ["f32", "f16", "bf16"],
  "llm.c": ["f32", "bf16"],
  gguf: WEIGHT_TYPES,
};

function checkType(format: ConvertFormat, dtype: WeightType | undefined): void {
  if (dtype === undefined || TYPES[format].includes(dtype)) return;
  const hint = "Those formats and types go together that docs/models.md lists";
  throw new UsageError({
    op: `converting to ${format}: dtype`,
    expected: TYPES[format].join(" or "),
    got: dtype,
    hint,
  });
}

function defaultType(format: ConvertFormat, source: StoredDtype): WeightType {
  return TYPES[format].find((dtype) => dtype === source) ?? "f32";
}

/** A folder may be there as long as no model is in it. */
function refuseToReplace(to: string, format: ConvertFormat): void {
  const [taken] = existsSync(to) ? mainFiles(to, format) : [];
  if (taken !== undefined) throw alreadyThere(to, taken);
}

function alreadyThere(to: string, taken: string): UsageError {
  const hint = "Choose another name, or --overwrite (in code: overwrite: true)";
  return new UsageError({ op: `converting to ${to}`, expected: "nothing there", got: taken, hint });
}

const OF_A_FOLDER = [
  /^(generation_)?config\.json$/,
  /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/,
  /^(tokenizer|vocab|tokenizer_config|special_tokens_map|added_tokens)\.json$|^merges\.txt$/,
];

/** Files that make up a model at a place: the one file, or those of a folder that belong to it. */
function mainFiles(to: string, format: ConvertFormat): string[] {
  if (format !== "huggingface" || !statSync(to).isDirectory()) return [to];
  const names = readdirSync(to).filter((name) => OF_A_FOLDER.some((pattern) => pattern.test(name)));
  return names.sort().map((name) => join(to, name));
}

interface Job {
  readonly checkpoint: Checkpoint;
  readonly to: string;
  readonly format: ConvertFormat;
  readonly dtype: WeightType;
  readonly tokenizer: Tokenizer | undefined;
}

async function write(job: Job, { maxShardBytes, onProgress, signal }: ConvertOptions): Promise<void> {
  const { checkpoint, to, format, dtype, tokenizer } = job;
  const { config, metadata, bosTokenId, eosTokenId, head, sampling } = checkpoint;
  if (head && format !== "huggingface") throw noHead(to, format, head);
  if (format === "gguf") {
    const general = checkpoint.format === "gguf" ? metadata : {};
    const model = { config, tensors: checkpoint.tensors.values(), tokenizer, bosTokenId, eosTokenId };
    await saveGguf(to, model, { dtype, general: { name: nameOf(checkpoint), ...general }, signal, onProgress });
    return;
  }
  const tensors = readTensors(checkpoint, onProgress, signal);
  await saveCheckpoint(
    to,
    { config, tensors, head },
    {
      format,
      dtype: dtype as SaveDtype,
      ...(maxShardBytes !== undefined && { maxShardBytes }),
      ...(checkpoint.format === "huggingface" && { metadata }),
      ...(bosTokenId !== undefined && { bosTokenId }),
      ...(eosTokenId !== undefined && { eosTokenId }),
      ...(sampling && { sampling }),
    },
  );
  if (format === "huggingface") await writeTokenizerFolder(to, checkpoint, tokenizer);
}

/** After its folder, or its file if that says more than `model`. */
function nameOf({ path }: Checkpoint): string {
  const name = basename(resolve(path)).replace(/\.(safetensors|gguf|bin|pt|json)$/, "");
  return /^(model|pytorch_model|ckpt)$/.test(name) ? basename(dirname(resolve(path))) : name;
}

function* readTensors(
  { tensors: model, head }: Checkpoint,
  onProgress: ConvertOptions["onProgress"],
  signal: AbortSignal | undefined,
): Generator<NamedTensor, void, void> {
  const tensors = [...model.values(), ...(head ? [head.score] : [])];
  const total = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let done = 0;
  for (const tensor of tensors) {
    signal?.throwIfAborted();
    const { name, shape } = tensor;
    const data = new Float32Array(numel(shape));
    tensor.readInto(data);
    yield { name, shape, data };
    done += tensor.byteLength;
    onProgress?.(done, total);
  }
}

/** Files that say more of a tokenizer than its tokens and merges. */
const TOKENIZER_EXTRAS = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/** In our writing, so that all three files are there; over it the source's own, where it has some. */
async function writeTokenizerFolder(
  to: string,
  checkpoint: Checkpoint,
  tokenizer: Tokenizer | undefined,
): Promise<void> {
  if (tokenizer === undefined) return;
  await saveTokenizer(tokenizer, to);
  const { tokenizerJson, vocabJson, mergesTxt } = checkpoint.tokenizerFiles ?? {};
  const own = [tokenizerJson, vocabJson, mergesTxt].filter((path) => path !== undefined);
  const folder = own[0] && dirname(own[0]);
  const extras = folder === undefined ? [] : TOKENIZER_EXTRAS.map((name) => join(folder, name));
  for (const path of [...own, ...extras]) {
    const target = join(to, basename(path));
    if (existsSync(path) && resolve(path) !== resolve(target)) await copyFile(path, target);
  }
}

/**
 * Files beside llm.c's weights: its own, which decodes, and tokenizer.json, for those who encode. Several models in one
 * folder may share them.
 *
 * @throws {UsageError} those of another tokenizer are there.
 */
function llmcTokenizers(folder: string, tokenizer: Tokenizer | undefined, overwrite = false): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  if (tokenizer?.endOfText === undefined) return files;
  files.set(join(folder, "gpt2_tokenizer.bin"), writeLlmcTokenizer(tokenizer.vocabulary));
  files.set(join(folder, "tokenizer.json"), new TextEncoder().encode(writeTokenizerJson(tokenizer.vocabulary)));
  for (const [path, content] of files) {
    if (!overwrite && existsSync(path) && !readFileSync(path).equals(content)) throw alreadyThere(folder, path);
  }
  return files;
}
