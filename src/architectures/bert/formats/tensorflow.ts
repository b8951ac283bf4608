import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import type { TensorFlowMapping } from "../../mapping.js";
import { HEAD } from "../../tensor-spec.js";
import { BERT_HUGGING_FACE } from "./huggingface.js";

/**
 * Names in Google's release of BERT (github.com/google-research/bert, modeling.py and run_pretraining.py): variables below
 * `bert/` and `cls/`, and bert_config.json, whose fields transformers adopted. Kernels are [in, out].
 */

const KERNEL = /\/kernel$/;

/** Variables whose names differ in more than style. */
const NAMES: readonly (readonly [tensorflow: string, ours: string])[] = [
  ["cls/predictions/output_bias", "cls.predictions.bias"],
  ["cls/seq_relationship/output_weights", "cls.seq_relationship.weight"],
  ["cls/seq_relationship/output_bias", "cls.seq_relationship.bias"],
  ["output_weights", "classifier.weight"],
  ["output_bias", "classifier.bias"],
];

/** Undefined for an optimizer's variables, which are below a variable or outside both scopes. */
function tableName(variable: string): string | undefined {
  const known = NAMES.find(([name]) => name === variable);
  if (known) return known[1];
  if (!/^(bert|cls)\//.test(variable) || /\/(adam_[mv]|Adam(_\d+)?|LAMB\w*)$/.test(variable)) return undefined;
  const path = variable.replace(/^bert\//, "").replace(/layer_(\d+)/, "layer.$1");
  return path
    .replace(/\/(kernel|gamma)$/, ".weight")
    .replace(/\/beta$/, ".bias")
    .replace(/_embeddings$/, "_embeddings.weight")
    .replaceAll("/", ".");
}

/** The inverse, for messages. */
function fileName(name: string): string {
  const known = NAMES.find(([, ours]) => ours === name);
  if (known) return known[0];
  if (name === HEAD) return "bert/embeddings/word_embeddings";
  const path = name
    .replace(/layer\.(\d+)/, "layer_$1")
    .replace(/_embeddings\.weight$/, "_embeddings")
    .replace(/LayerNorm\.weight$/, "LayerNorm.gamma")
    .replace(/LayerNorm\.bias$/, "LayerNorm.beta")
    .replace(/\.weight$/, ".kernel")
    .replaceAll(".", "/");
  return path.startsWith("cls/") ? path : `bert/${path}`;
}

/** Shapes of kernels as [out, in]; their bytes are transposed. */
const logical = (variable: string, tensor: RawTensor): RawTensor =>
  KERNEL.test(variable) ? { ...tensor, shape: [...tensor.shape].reverse(), transposed: true } : tensor;

export const BERT_TENSORFLOW: TensorFlowMapping = {
  configFile: "bert_config.json",
  readConfig: BERT_HUGGING_FACE.readConfig,
  withPartsOf: BERT_HUGGING_FACE.withPartsOf!,
  logical,
  tableName,
  fileName,
};
