import { copyFile, type FileHandle, mkdir, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type HuggingFaceMapping, mappingFor } from "../../architectures/mapping.js";
import { tensorTable } from "../../architectures/registry.js";
import { taskTensors } from "../../architectures/task-head.js";
import type { TensorSpec } from "../../architectures/tensor-spec.js";
import type { SafetensorsDtype } from "../../checkpoint/safetensors.js";
import { planShards, safetensorsIndex } from "../../checkpoint/safetensors-index.js";
import { layoutSafetensors } from "../../checkpoint/safetensors-writer.js";
import type { JsonObject } from "../../checkpoint/strict-json.js";
import { ByteLevelEncoder } from "../../tokenizer/byte-level-encoder.js";
import { saveTokenizer } from "../../tokenizer/files.js";
import { saveWordPiece } from "../../tokenizer/wordpiece/files.js";
import { WordPieceTokenizer } from "../../tokenizer/wordpiece/tokenizer.js";
import { writeAt, writeNewFile } from "../../util/atomic-write.js";
import type { WriteTarget } from "../formats.js";
import { samplingToHuggingFace } from "../generation-config.js";
import { type ModelToSave, type SaveOptions, specialTokensOf } from "../model-to-save.js";
import { type SentenceModules, sentenceModuleFiles } from "../sentence-modules.js";
import { type Place, writeTensors } from "../write-tensors.js";
import { HUGGING_FACE_MAPPINGS } from "./huggingface.js";
import { headToHuggingFace } from "./task-head.js";

type SaveDtype = "f32" | "f16" | "bf16";

const SAFETENSORS_OF_FLOAT: Readonly<Record<SaveDtype, SafetensorsDtype>> = { f32: "F32", f16: "F16", bf16: "BF16" };
const TORCH_DTYPES: Readonly<Record<SaveDtype, string>> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

/** Writes the files of a Hugging Face model: weights, configuration, tokenizer. */
export async function writeHuggingFace(model: ModelToSave, target: WriteTarget, options: SaveOptions): Promise<void> {
  const dtype = (options.dtype ?? "f32") as SaveDtype;
  const mapping = mappingFor(HUGGING_FACE_MAPPINGS, model.config, `writing ${target.path}`);
  const plan = planWeights(model, mapping, dtype, options.maxShardBytes);
  await writeWeights(plan, model, target, options);
  const json: Record<string, JsonObject> = {
    "config.json": configJson(model, mapping, dtype),
    "generation_config.json": generationJson(model),
    ...(plan.shards.length > 1 && { "model.safetensors.index.json": safetensorsIndex(plan.shards) }),
  };
  for (const [name, value] of Object.entries(json)) {
    await writeNewFile(join(target.folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  }
  await writeTokenizer(model, target.folder);
  if (model.sentence) await writeSentenceModules(model.sentence, model.config.nEmbd, target.folder);
}

async function writeSentenceModules(modules: SentenceModules, width: number, folder: string): Promise<void> {
  for (const [path, json] of Object.entries(sentenceModuleFiles(modules, width))) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeNewFile(join(folder, path), `${JSON.stringify(json, undefined, 2)}\n`);
  }
}

/** Fields of config.json and generation_config.json; a single end token is written without a list. */
function specialTokens(model: ModelToSave): { bos_token_id: number | null; eos_token_id: number | number[] | null } {
  const { bosTokenId = null, eosTokenIds } = specialTokensOf(model);
  const [first = null, ...more] = eosTokenIds;
  return { bos_token_id: bosTokenId, eos_token_id: more.length > 0 ? [...eosTokenIds] : first };
}

export function configJson(model: ModelToSave, mapping: HuggingFaceMapping, dtype: SaveDtype): JsonObject {
  const { config, head } = model;
  const tokens = specialTokens(model);
  return {
    architectures: [mapping.classOf(config, head)],
    model_type: mapping.modelType,
    ...mapping.writeConfig(config),
    ...tokens,
    torch_dtype: TORCH_DTYPES[dtype],
    // Padding goes to the right of texts, where nothing attends to it; any token that no text contains will do.
    ...(head && {
      pad_token_id: specialTokensOf(model).eosTokenIds[0] ?? config.vocabSize - 1,
      ...headToHuggingFace(head),
    }),
  };
}

function generationJson(model: ModelToSave): JsonObject {
  const tokens = Object.entries(specialTokens(model)).filter(([, id]) => id !== null);
  return { ...Object.fromEntries(tokens), ...(model.sampling && samplingToHuggingFace(model.sampling)) };
}

interface Plan {
  readonly shards: ReturnType<typeof planShards>;
  readonly headers: ReadonlyMap<string, Uint8Array>;
  readonly places: readonly Place[];
  /** Bytes of data. */
  readonly total: number;
}

function planWeights(
  { config, head, metadata: said }: ModelToSave,
  mapping: HuggingFaceMapping,
  dtype: SaveDtype,
  maxShardBytes: number | undefined,
): Plan {
  // transformers refuses files that do not say they are PyTorch's.
  const metadata = { ...said, format: "pt" };
  const specs = [...tensorTable(config), ...(head ? taskTensors(config, head) : [])];
  const table = new Map(specs.map((spec) => [mapping.fileName(spec.name), spec]));
  const inFile = [...table].map(([name, spec]) => {
    return { name, dtype: SAFETENSORS_OF_FLOAT[dtype], shape: huggingFaceShape(spec) };
  });
  const shards = planShards(inFile, maxShardBytes);
  const headers = new Map<string, Uint8Array>();
  const places: Place[] = [];
  let total = 0;
  for (const { file, specs } of shards) {
    const { header, size, ranges } = layoutSafetensors(specs, metadata);
    headers.set(file, header);
    total += size - header.length;
    for (const [name, { offset }] of ranges) {
      const spec = table.get(name)!;
      places.push({ spec, file, offset, dtype, storedAs: spec.conv1d ? "in_out" : "out_in" });
    }
  }
  return { shards, headers, places, total };
}

/** Conv1D holds its matrix as [in, out]. */
export function huggingFaceShape({ shape, conv1d }: Pick<TensorSpec, "shape" | "conv1d">): readonly number[] {
  return conv1d ? [...shape].reverse() : shape;
}

/** All shards are open together, because tensors may come in any order. */
async function writeWeights(
  { headers, places, total }: Plan,
  { tensors }: ModelToSave,
  { folder, path }: WriteTarget,
  { signal, onProgress }: SaveOptions,
): Promise<void> {
  const handles = new Map<string, FileHandle>();
  try {
    for (const [name, header] of headers) {
      const handle = await open(join(folder, name), "wx");
      handles.set(name, handle);
      await writeAt(handle, header, 0);
    }
    let written = 0;
    const onBytes = (bytes: number) => onProgress?.((written += bytes), total);
    const write = (file: string, bytes: Uint8Array, at: number) => writeAt(handles.get(file)!, bytes, at);
    await writeTensors({ path, places, tensors, write, signal, onBytes });
  } finally {
    for (const handle of handles.values()) await handle.close();
  }
}

/** Generated, so that all three files exist; the model's original files, if any, replace them. */
async function writeTokenizer(model: ModelToSave, folder: string): Promise<void> {
  const { tokenizer, wordPiece, tokenizerFiles = [] } = model;
  if (tokenizer) await saveTokenizer(tokenizer, folder);
  else if (wordPiece instanceof WordPieceTokenizer) await saveWordPiece(wordPiece, folder);
  else if (wordPiece instanceof ByteLevelEncoder) await saveTokenizer(wordPiece.tokenizer, folder);
  else return;
  for (const path of tokenizerFiles) await copyFile(path, join(folder, basename(path)));
}
