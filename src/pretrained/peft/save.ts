import { join } from "node:path";
import type { ModelConfig } from "../../architectures/config.js";
import { adaptableLayers, type LoraRanks, type LoraTarget, loraTable } from "../../architectures/lora.js";
import { architectureOf, tensorTable } from "../../architectures/registry.js";
import { isOfWholeModule, type TaskHead, taskTensors } from "../../architectures/task-head.js";
import { numel, type TensorSpec } from "../../architectures/tensor-spec.js";
import { writeSafetensorsFile } from "../../checkpoint/safetensors-file.js";
import { CheckpointError } from "../../errors.js";
import { writeFolderAtomically, writeNewFile } from "../../util/atomic-write.js";
import { headToHuggingFace } from "../formats/task-head.js";
import { PEFT_TASKS, peftNorms, peftTargets, toPeftName } from "./names.js";
import { ADAPTER_CONFIG_FILE, ADAPTER_HEAD_FILE, ADAPTER_WEIGHTS_FILE } from "./open.js";

/** A LoRA adapter to save, with the same rank and alpha everywhere. */
export interface AdapterToSave {
  readonly config: ModelConfig;
  readonly rank: number;
  readonly alpha: number;
  readonly rankStabilized: boolean;
  readonly dropout: number;
  readonly targets: readonly LoraTarget[];
  readonly ranks: LoraRanks;
  /** Tensors of `loraTable(config, ranks)`, and any trained vectors of the model, by name. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** The head for a task, with its tensors among the others. */
  readonly head?: TaskHead | undefined;
  /** The model it was made for: a name on the hub or a path, by which PEFT can load it. */
  readonly baseModel: string | undefined;
}

/**
 * Writes an adapter in PEFT's layout, a folder with adapter_config.json and adapter_model.safetensors, as a whole or not at all.
 *
 * @throws {CheckpointError} a tensor is missing, unknown or of the wrong size, or the file system refuses.
 */
export async function saveAdapter(path: string, adapter: AdapterToSave): Promise<void> {
  await writeFolderAtomically(path, (folder) => fillAdapterFolder(folder, adapter), { existing: "merge" });
}

/** The same, into a folder that is being written. */
export async function fillAdapterFolder(folder: string, adapter: AdapterToSave): Promise<void> {
  const { config, ranks, tensors, head } = adapter;
  const trained = [...loraTable(config, ranks), ...(head ? taskTensors(config, head) : [])];
  const isWhole = ({ name, shape }: TensorSpec): boolean => shape.length === 1 || isOfWholeModule(config, name);
  const specs = [...tensorTable(config).filter(isWhole), ...trained];
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  for (const { name } of trained) if (!tensors.has(name)) throw wrong(folder, name, "its values", "none");
  const inputs = [...tensors].map(([name, data]) => {
    const shape = shapes.get(name);
    if (shape === undefined) throw wrong(folder, name, "a tensor of the adapter", "an unknown one");
    if (data.length !== numel(shape)) throw wrong(folder, name, `shape [${shape.join(", ")}]`, `${data.length} values`);
    return { name: toPeftName(config, name, (layer) => ranks.has(layer)), dtype: "F32" as const, shape, data };
  });
  await writeSafetensorsFile(join(folder, ADAPTER_WEIGHTS_FILE), inputs, { format: "pt" });
  const json = `${JSON.stringify(peftConfigJson(adapter), undefined, 2)}\n`;
  await writeNewFile(join(folder, ADAPTER_CONFIG_FILE), json);
  if (!head) return;
  await writeNewFile(join(folder, ADAPTER_HEAD_FILE), `${JSON.stringify(headToHuggingFace(head), undefined, 2)}\n`);
}

function wrong(folder: string, name: string, expected: string, got: string): CheckpointError {
  return new CheckpointError({ op: `writing ${folder}: tensor ${name}`, expected, got });
}

/** PEFT's fields in its order. Unused ones are switched off. */
function peftConfigJson(adapter: AdapterToSave): Record<string, unknown> {
  const { config, rank, alpha, rankStabilized, dropout, targets, tensors, baseModel = null } = adapter;
  const trained = [...tensors.keys()].filter((name) => !name.includes(".lora_"));
  const norms = tensorTable(config).some(({ name, norm }) => norm && /\.weight$/.test(name) && trained.includes(name));
  const task = adapter.head && PEFT_TASKS[adapter.head.kind];
  const modules = (architectureOf(config).wholeModules ?? []).filter((name) => trained.includes(`${name}.weight`));
  // PEFT names a module by the end of its name. The pooler is a module with a layer in it.
  const whole = [
    ...(norms ? peftNorms(config) : []),
    ...(task?.heads ?? []),
    ...modules.map((name) => name.split(".")[0]!),
  ];
  const biases = [...adaptableLayers(config).keys()].some((layer) => trained.includes(`${layer}.bias`));
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: biases ? "all" : "none",
    fan_in_fan_out: tensorTable(config).some(({ conv1d }) => conv1d),
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_dropout: dropout,
    modules_to_save: whole.length > 0 ? whole : null,
    peft_type: "LORA",
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules: peftTargets(config, targets),
    task_type: task?.type ?? "CAUSAL_LM",
    use_dora: false,
    use_rslora: rankStabilized,
  };
}
