import type { ModelConfig } from "../../architectures/config.js";
import { type LoraTarget, loraTargets } from "../../architectures/lora.js";
import { tensorTable } from "../../architectures/registry.js";
import { SCORE } from "../../architectures/task-head.js";

/** PEFT's names of the tensors of a LoRA adapter, and of the modules in its configuration. */

/** Of what it wraps: the model with an output head; without one `transformer.` is missing. */
const PREFIX = /^base_model\.model\.(transformer\.)?/;
const WRITE_PREFIX = "base_model.model.transformer.";
/** The layer that an adapted one wraps, and a whole copy of a module that was trained. */
const WRAPPER = /\.(base_layer|modules_to_save)\.(?=[^.]+$)/;
/** A module's values from before it was trained, which PEFT sometimes saves too. */
const ORIGINAL = ".original_module.";

/** The name in the model of a tensor in an adapter's file; undefined for one without a meaning there. */
export function fromPeftName(name: string): string | undefined {
  if (name.includes(ORIGINAL)) return undefined;
  return name.replace(PREFIX, "").replace(WRAPPER, ".");
}

/** The layer that PEFT's patterns see. */
export const peftLayer = (layer: string): string => `transformer.${layer}`;

/** The inverse of {@link fromPeftName}, where `isAdapted` says of a layer whether PEFT wraps it. */
export function toPeftName(name: string, isAdapted: (layer: string) => boolean): string {
  if (name === SCORE) return `base_model.model.${name}`;
  const layer = name.slice(0, name.lastIndexOf("."));
  if (!isAdapted(layer)) return WRITE_PREFIX + name;
  return `${WRITE_PREFIX}${layer}.base_layer.${name.slice(layer.length + 1)}`;
}

/** The shortest names that mean just these layers: of GPT-2, `c_proj` is both attention's and the feed-forward layer's. */
export function peftTargets(config: ModelConfig, targets: readonly LoraTarget[]): string[] {
  const meant = (name: string): LoraTarget[] => loraTargets(config).filter((target) => lastPart(target) === name);
  return [
    ...new Set(
      targets.map((target) => {
        const short = lastPart(target);
        return meant(short).every((t) => targets.includes(t)) ? short : target;
      }),
    ),
  ];
}

/** Modules of which every tensor is a layer norm's, by their last names. */
export function peftNorms(config: ModelConfig): string[] {
  const norms = tensorTable({ ...config, nLayer: 1 }).filter(({ norm }) => norm);
  return [...new Set(norms.map(({ name }) => lastPart(name.slice(0, name.lastIndexOf(".")))))];
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** Modules that PEFT trains whole in adapters for the classification of sequences. */
export const PEFT_HEADS = ["classifier", "score"];
