import type { ModelConfig } from "../../architectures/config.js";
import { adaptableLayers, type LoraRanks, loraA, loraB, loraScale } from "../../architectures/lora.js";
import { architectureOf, tensorTable } from "../../architectures/registry.js";
import { isOfWholeModule } from "../../architectures/task-head.js";
import type { ByteSource } from "../../checkpoint/byte-source.js";
import { isCopy } from "../../checkpoint/raw-tensor.js";
import { readSafetensors, type SafetensorsDtype, type SafetensorsTensor } from "../../checkpoint/safetensors.js";
import { type StoredTensor, storedTensor } from "../../checkpoint/stored-tensor.js";
import { type JsonObject, readJsonSource } from "../../checkpoint/strict-json.js";
import type { FloatDtype } from "../../dtype/floats.js";
import { CheckpointError, type ErrorDetails } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { type StoredHead, takeHead } from "../formats/task-head.js";
import { type PeftConfig, parsePeftConfig } from "./config.js";
import { fromPeftName, peftLayer } from "./names.js";

/** An opened LoRA adapter for a model of a given shape. Its tensors are still in their file. */
export interface AdapterCheckpoint {
  /** The folder or file that was opened. */
  readonly path: string;
  readonly settings: PeftConfig;
  /** Rank and scale of each adapted layer, in the order of the model's. */
  readonly ranks: LoraRanks;
  readonly scales: ReadonlyMap<string, number>;
  /** The tensors of `loraTable(config, ranks)`, in its order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors of the model that were trained as well, and take the place of its own: layer norms, biases, a pooler. */
  readonly replaced: ReadonlyMap<string, StoredTensor>;
  /** The head of an adapter for a task. */
  readonly head: StoredHead | undefined;
  /** Closes the files. Tensors cannot be read afterwards. */
  close(): void;
}

export interface AdapterSources {
  readonly path: string;
  /** adapter_config.json. */
  readonly config: ByteSource;
  /** adapter_model.safetensors. */
  readonly weights: ByteSource;
  /** Contents of classifier.json, if there is one. */
  readonly labels?: { readonly file: string; readonly fields: JsonObject } | undefined;
}

/**
 * Reads an adapter in PEFT's layout. Closing it closes the sources, and so does an error here.
 *
 * @param model the shape of the model it was made for.
 * @throws {CheckpointError} it is malformed, has another shape, or has more than LoRA on linear layers, which is refused by name.
 */
export function loadAdapter(sources: AdapterSources, model: ModelConfig): AdapterCheckpoint {
  const { path, config, weights } = sources;
  const close = (): void => {
    config.close();
    weights.close();
  };
  try {
    const settings = parsePeftConfig(readJsonSource(config), `reading ${config.name}`);
    return {
      path,
      settings,
      ...sortTensors(readSafetensors(weights).tensors.values(), sources, settings, model),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function sortTensors(
  found: Iterable<SafetensorsTensor>,
  { weights, labels }: AdapterSources,
  settings: PeftConfig,
  model: ModelConfig,
) {
  const byName = new Map<string, SafetensorsTensor>();
  for (const tensor of found) {
    const name = fromPeftName(tensor.name);
    if (name === undefined) continue;
    const other = byName.get(name);
    // PEFT saves the bias of a module trained as a whole twice.
    if (other && isCopy(other, tensor)) continue;
    if (other) throw fault(tensor, { expected: "each tensor once", got: `${quote(other.name)} as well` });
    byName.set(name, tensor);
  }
  const ranks = new Map<string, number>();
  const scales = new Map<string, number>();
  const tensors = new Map<string, StoredTensor>();
  // A hostile file may claim two billion layers; there cannot be more layers than tensors.
  const nLayer = Math.min(model.nLayer, byName.size + 1);
  for (const [layer, [out, width]] of adaptableLayers({ ...model, nLayer })) {
    const [a, b] = [take(byName, loraA(layer)), take(byName, loraB(layer))];
    if (!a && !b) continue;
    if (!a || !b) throw fault((a ?? b)!, { expected: "both lora_A and lora_B of the layer", got: "one" });
    const rank = settings.rankOf(peftLayer(model, layer));
    ranks.set(layer, rank);
    scales.set(layer, loraScale(settings.alphaOf(peftLayer(model, layer)), rank, settings.rankStabilized));
    tensors.set(loraA(layer), stored(a, loraA(layer), [rank, width]));
    tensors.set(loraB(layer), stored(b, loraB(layer), [out, rank]));
  }
  const replaced = new Map<string, StoredTensor>();
  // A pooler that the model lacks may come with the adapter.
  const withPooler = architectureOf(model).withHead?.(model, { kind: "classification", labels: [] }) ?? model;
  const table = [...tensorTable({ ...model, nLayer }), ...tensorTable({ ...withPooler, nLayer })];
  for (const { name, shape } of table) {
    const tensor = shape.length === 1 || isOfWholeModule(model, name) ? take(byName, name) : undefined;
    if (tensor) replaced.set(name, stored(tensor, name, shape));
  }
  const task = settings.taskType === "TOKEN_CLS" ? { architectures: ["ForTokenClassification"] } : {};
  const head = takeHead(byName, { ...labels?.fields, ...task }, model, labels?.file ?? weights.name);
  for (const [name, tensor] of byName) throw unknown(name, tensor, model);
  if (ranks.size > 0) return { ranks, scales, tensors, replaced, head };
  throw new CheckpointError({
    op: `reading ${weights.name}`,
    expected: "lora_A and lora_B of some layer",
    got: "none",
  });
}

function take<T>(map: Map<string, T>, name: string): T | undefined {
  const value = map.get(name);
  map.delete(name);
  return value;
}

const FLOATS: Partial<Record<SafetensorsDtype, FloatDtype>> = { F32: "f32", F16: "f16", BF16: "bf16", F64: "f64" };

function stored(tensor: SafetensorsTensor, name: string, shape: readonly number[]): StoredTensor {
  const dtype = FLOATS[tensor.dtype];
  if (dtype === undefined) throw fault(tensor, { expected: Object.keys(FLOATS).join(", "), got: tensor.dtype });
  if (tensor.shape.length !== shape.length || tensor.shape.some((d, i) => d !== shape[i])) {
    const hint = "The adapter is for a model of another shape, or its configuration says another rank";
    throw fault(tensor, { expected: `shape [${shape.join(", ")}]`, got: quote(tensor.shape), hint });
  }
  const { source, offset } = tensor;
  return storedTensor({ name, dtype, shape, storedAs: "out_in", source, offset });
}

/** Other contents of adapters, by parts of tensor names. */
const KINDS: readonly (readonly [name: RegExp, what: string])[] = [
  [/lora_magnitude_vector/, "DoRA"],
  [/lora_embedding_/, "an adapter of the embeddings"],
  [/lora_[AB]\.bias$/, "an adapter with biases of its own (lora_bias)"],
  [/^lm_head\./, "an adapter of the output head"],
  [/^(wte|wpe)\./, "embeddings trained as a whole"],
  [/trainable_tokens/, "single tokens' embeddings"],
  [/^(classifier|qa_outputs)\./, "the head of another task"],
];

function unknown(name: string, tensor: SafetensorsTensor, model: ModelConfig): CheckpointError {
  const kind = KINDS.find(([pattern]) => pattern.test(name))?.[1];
  const expected = `LoRA on linear layers of a ${architectureOf(model).label} of ${model.nLayer} layers, with layer norms or biases`;
  return fault(tensor, { expected, got: kind ?? `an unknown tensor, ${tensor.dtype} ${quote(tensor.shape)}` });
}

function fault(tensor: SafetensorsTensor, details: Omit<ErrorDetails, "op">): CheckpointError {
  return new CheckpointError({ op: `reading ${tensor.source.name}: tensor ${quote(tensor.name)}`, ...details });
}
