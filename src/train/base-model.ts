import type { ModelConfig } from "../architectures/config.js";
import type { ParamTypes } from "../architectures/declare.js";
import { numel } from "../architectures/tensor-spec.js";
import { type Backend, type DeviceArray, hostFloats } from "../backend/backend.js";
import type { WeightType } from "../dtype/dtype.js";
import { openModel } from "../pretrained/load.js";
import type { LocateOptions } from "../pretrained/locate-options.js";
import { loadWeights, storageTypes } from "../pretrained/weights.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import type { LoraSettings } from "./lora-settings.js";
import type { Adaptation, ModelTrainer } from "./model-trainer.js";

/** A model to start from: anything `GPT2.load` takes. */
export interface ModelSource extends LocateOptions {
  /** Undefined: the model that comes with the package. */
  readonly name: string | undefined;
  /** Storage dtype of frozen weights. Default: as in the file. */
  readonly dtype?: WeightType | undefined;
}

/** The shape of a model, and the storage dtypes of its weights in memory. */
export async function describeModel(source: ModelSource): Promise<{ config: ModelConfig; types: ParamTypes }> {
  const checkpoint = await openModel(source.name, source);
  try {
    const { config, tensors } = checkpoint;
    const typeOf = storageTypes(config, source.dtype);
    return { config, types: new Map([...tensors].map(([name, tensor]) => [name, typeOf(tensor)])) };
  } finally {
    checkpoint.close();
  }
}

/** The frozen weights of a model, used in place where possible. */
export async function loadFrozen(backend: Backend, source: ModelSource): Promise<Map<string, DeviceArray>> {
  const checkpoint = await openModel(source.name, source, backend);
  try {
    const { config, tensors } = checkpoint;
    return await loadWeights(backend, config, tensors.values(), { dtype: source.dtype });
  } finally {
    checkpoint.close();
  }
}

export async function adaptationOf(backend: Backend, source: ModelSource, lora: LoraSettings): Promise<Adaptation> {
  return { lora, base: await loadFrozen(backend, source) };
}

/**
 * Copies the values of a model into the trained tensors, and returns their names. A task head is copied if its labels are the
 * same.
 */
export async function copyTrained(source: ModelSource, model: ModelTrainer): Promise<Set<string>> {
  const copied = new Set<string>();
  const checkpoint = await openModel(source.name, source);
  try {
    const { head } = checkpoint;
    const same = head?.kind === model.head?.kind && head?.labels.join("\n") === model.head?.labels.join("\n");
    for (const [name, tensor] of [...checkpoint.tensors, ...(head && same ? head.tensors : [])]) {
      const array = model.trained.get(name);
      if (array === undefined) continue;
      copied.add(name);
      const values = hostFloats(array) ?? new Float32Array(numel(tensor.shape));
      tensor.readInto(values);
      if (values !== array.host) array.write(values);
      await yieldToEventLoop();
    }
    return copied;
  } finally {
    checkpoint.close();
  }
}
