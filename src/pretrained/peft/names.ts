import type { ModelConfig } from "../../architectures/config.js";
import type { LoraTarget } from "../../architectures/lora.js";
import { ARCHITECTURES, architectureOf, tensorTable } from "../../architectures/registry.js";
import type { TaskHead } from "../../architectures/task-head.js";

/** PEFT's names for the tensors of a LoRA adapter, and for modules in its configuration. */

/** Prefix of a wrapped model with a head. Adapters of classes without a head lack the architecture's own prefix. */
const WRAPPED = "base_model.model.";
/** The layer that an adapted one wraps, and the whole copy of a trained module. */
const WRAPPER = /\.(base_layer|modules_to_save)\.(?=[^.]+$)/;
/** A module's values before training, which PEFT sometimes saves too. */
const ORIGINAL = ".original_module.";

/** The model's name for a tensor of an adapter's file; undefined for tensors without a counterpart. */
export function fromPeftName(name: string): string | undefined {
  if (name.includes(ORIGINAL)) return undefined;
  if (!name.startsWith(WRAPPED)) return name.replace(WRAPPER, ".");
  const inner = name.slice(WRAPPED.length);
  const prefix = [...ARCHITECTURES.values()].find(({ prefix }) => inner.startsWith(prefix))?.prefix ?? "";
  return inner.slice(prefix.length).replace(WRAPPER, ".");
}

/** The name of a layer that PEFT's patterns match. */
export const peftLayer = (config: ModelConfig, layer: string): string => architectureOf(config).prefix + layer;

/** The inverse of {@link fromPeftName}. `isAdapted` tells whether PEFT wraps a layer. */
export function toPeftName(config: ModelConfig, name: string, isAdapted: (layer: string) => boolean): string {
  if (isHeadTensor(name)) return WRAPPED + name;
  const layer = name.slice(0, name.lastIndexOf("."));
  const inner = isAdapted(layer) ? `${layer}.base_layer.${name.slice(layer.length + 1)}` : name;
  return WRAPPED + peftLayer(config, inner);
}

/**
 * The shortest endings of names that select just these layers: in GPT-2, `c_proj` belongs to both attention and the
 * feed-forward layer; in BERT, `dense` to the pooler too. If no ending will do, the layers' full names.
 */
export function peftTargets(config: ModelConfig, targets: readonly LoraTarget[]): string[] {
  const matrices = tensorTable(config).filter(({ name, shape }) => shape.length === 2 && name.endsWith(".weight"));
  const modules = matrices.map(({ name }) => name.slice(0, -".weight".length));
  const layersOf = (target: LoraTarget): string[] =>
    Array.from({ length: config.nLayer }, (_, layer) => `${architectureOf(config).block(layer)}.${target}`);
  const meant = new Set(targets.flatMap(layersOf));
  const names = targets.flatMap((target) => {
    const parts = target.split(".");
    const ends = parts.map((_, i) => parts.slice(parts.length - 1 - i).join("."));
    const isExact = (end: string): boolean =>
      modules.every((name) => !`.${name}`.endsWith(`.${end}`) || meant.has(name));
    const exact = ends.find(isExact);
    return exact === undefined ? layersOf(target) : [exact];
  });
  return [...new Set(names)];
}

/** Last names of modules that are layer norms. */
export function peftNorms(config: ModelConfig): string[] {
  const norms = tensorTable({ ...config, nLayer: 1 }).filter(({ norm }) => norm);
  return [...new Set(norms.map(({ name }) => lastPart(name.slice(0, name.lastIndexOf(".")))))];
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** Whether a tensor belongs to a task head, whose names lack the architecture's prefix. */
export const isHeadTensor = (name: string): boolean => /^(score|classifier|qa_outputs)\./.test(name);

/** PEFT's names of tasks, and the modules that it trains whole for them. */
export const PEFT_TASKS: Readonly<
  Record<TaskHead["kind"], { readonly type: string; readonly heads: readonly string[] }>
> = {
  classification: { type: "SEQ_CLS", heads: ["classifier", "score"] },
  regression: { type: "SEQ_CLS", heads: ["classifier", "score"] },
  tokens: { type: "TOKEN_CLS", heads: ["classifier", "score"] },
  spans: { type: "QUESTION_ANS", heads: ["qa_outputs"] },
};
