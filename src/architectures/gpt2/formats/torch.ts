import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import { isCopy } from "../../../checkpoint/raw-tensor.js";
import { isJsonObject, type JsonObject } from "../../../checkpoint/strict-json.js";
import { ConfigError } from "../../../errors.js";
import { quote } from "../../../util/quote.js";
import { namingFile, type TorchConfig, type TorchMapping, type TorchSettings } from "../../mapping.js";
import { HEAD } from "../../tensor-spec.js";
import { GPT2_PRESETS, gpt2Config } from "../config.js";
import { matrixOrder } from "./huggingface.js";

/**
 * Names in files of PyTorch programs other than transformers: nanoGPT (github.com/karpathy/nanoGPT, model.py and train.py),
 * build-nanogpt and minGPT. Tensors have Hugging Face's names; matrices come from nn.Linear, [out, in].
 */

/** Fields that are read, or that do not change what a trained model computes. Other fields must be off. */
const FIELDS = new Set([
  ...["n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias"],
  ...["dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "model_type"],
]);

/** Heads of the shapes that minGPT names (mingpt/model.py, `model_type`) besides the published ones. */
const MINGPT_HEADS: Readonly<Record<string, number>> = {
  "openai-gpt": 12,
  gpt2: 12,
  "gpt2-medium": 16,
  "gpt2-large": 20,
  "gpt2-xl": 25,
  "gopher-44m": 16,
  "gpt-mini": 6,
  "gpt-micro": 4,
  "gpt-nano": 3,
};

/**
 * The configuration of a nanoGPT or minGPT. Sizes come from the tensors, everything else from the settings.
 *
 * @param tensors by their names in the tensor table.
 * @param settings undefined if there are none. Then only the heads of published shapes are known.
 * @param file for errors.
 * @throws {ConfigError} sizes are impossible or contradict each other, or settings belong to another model.
 */
function readConfig(
  tensors: ReadonlyMap<string, RawTensor>,
  settings: TorchSettings | undefined,
  file: string,
): TorchConfig {
  const sizes = sizesOf(tensors);
  if (settings) checkSettings(settings, sizes, file);
  const fields = settings?.fields ?? new Map<unknown, unknown>();
  const nHead = headsOf(fields, sizes);
  if (nHead === undefined) {
    throw new ConfigError({
      op: `reading ${file}`,
      expected: "the number of heads, which tensor shapes do not reveal",
      got: settings ? `${settings.where} without it` : "only weights",
      hint: 'Put a config.json beside it, such as {"model_type": "gpt2", "n_head": 12, …}',
    });
  }
  const head = tensors.get(HEAD);
  const wte = tensors.get("wte.weight");
  const tieWordEmbeddings = head === undefined || wte === undefined || isCopy(head, wte);
  // nanoGPT got its setting `bias` shortly before it changed to the exact GELU (nn.GELU(), in 2023). build-nanogpt and
  // minGPT have the approximation, and no such setting.
  const activation = fields.has("bias") ? "gelu" : "gelu_new";
  const config = namingFile(file, () => gpt2Config({ ...sizes, nHead, activation, tieWordEmbeddings }));
  return { config, zeroBiases: fields.get("bias") === false };
}

type Sizes = Partial<Record<"vocabSize" | "nCtx" | "nEmbd" | "nLayer" | "nInner", number>>;

/** Sizes by the tensors' shapes. Missing or malformed tensors are reported when all are matched with the table. */
function sizesOf(tensors: ReadonlyMap<string, RawTensor>): Sizes {
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const [vocabSize, nEmbd] = shape("wte.weight");
  const [nCtx] = shape("wpe.weight");
  const [a = 0, b = 0] = shape("h.0.mlp.c_fc.weight");
  let nLayer = 1;
  while (tensors.has(`h.${nLayer}.ln_1.weight`)) nLayer++;
  const sizes = { vocabSize, nCtx, nEmbd, nLayer, nInner: matrixOrder(tensors) === "out_in" ? a : b };
  return Object.fromEntries(Object.entries(sizes).filter(([, size]) => size !== undefined));
}

const SIZE_FIELDS = [
  ["n_layer", "nLayer"],
  ["n_embd", "nEmbd"],
  ["block_size", "nCtx"],
  ["vocab_size", "vocabSize"],
] as const;

function checkSettings({ fields, where }: TorchSettings, sizes: Sizes, file: string): void {
  const refuse = (field: unknown, expected: string, got: unknown): never => {
    throw new ConfigError({ op: `reading ${file}: ${where}.${String(field)}`, expected, got: quote(got) });
  };
  for (const [field, value] of fields) {
    // Forks have switches for other norms, activations and attention. A switch that is off changes nothing.
    if (typeof field !== "string") refuse("field", "a name", field);
    if (value && !FIELDS.has(field as string)) refuse(field, "only settings of nanoGPT and minGPT", value);
  }
  for (const [field, size] of SIZE_FIELDS) {
    const value = fields.get(field) ?? undefined;
    if (value !== undefined && value !== sizes[size]) refuse(field, `${sizes[size]}, the tensors' size`, value);
  }
  const bias = fields.get("bias") ?? true;
  if (typeof bias !== "boolean") refuse("bias", "True or False", bias);
}

function headsOf(fields: ReadonlyMap<unknown, unknown>, { nLayer, nEmbd }: Sizes): number | undefined {
  const given = fields.get("n_head");
  if (typeof given === "number") return given;
  const type = fields.get("model_type");
  if (typeof type === "string" && Object.hasOwn(MINGPT_HEADS, type)) return MINGPT_HEADS[type];
  return Object.values(GPT2_PRESETS).find((p) => p.nLayer === nLayer && p.nEmbd === nEmbd)?.nHead;
}

/** The model's part of a config.json written by minGPT's `setup_logging`; undefined for other files. */
function settingsFromJson(json: JsonObject): TorchSettings | undefined {
  if (!isJsonObject(json.model) || !("model_type" in json.model)) return undefined;
  return { fields: new Map(Object.entries(json.model)), where: "model" };
}

export const GPT2_TORCH: TorchMapping = {
  settingsFromJson,
  readConfig,
};
