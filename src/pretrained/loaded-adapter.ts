import { DECODE_GAIN_ROWS } from "../architectures/declare.js";
import { gainTable, type LoraRanks } from "../architectures/lora.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { LoadedHead } from "./loaded-head.js";

/** The name of the adapter that requests use unless they choose. */
export const DEFAULT_ADAPTER = "default";

let count = 0;

/** A LoRA adapter in a backend's memory: what a sequence of an {@link Engine} may add to the model's weights. */
export class LoadedAdapter {
  /** Tells adapters apart. */
  readonly id = count++;
  readonly ranks: LoraRanks;
  /** Its matrices, by their names in `loraTable`; only read. */
  readonly tensors: ReadonlyMap<string, DeviceArray>;
  readonly gains: DeviceArray;
  /** Of an adapter for a task. */
  readonly head: LoadedHead | undefined;

  /** @param scaleOf what each layer's product is multiplied by */
  constructor(
    backend: Backend,
    ranks: LoraRanks,
    tensors: ReadonlyMap<string, DeviceArray>,
    scaleOf: (layer: string) => number,
    head?: LoadedHead | undefined,
  ) {
    this.head = head;
    this.ranks = ranks;
    this.tensors = tensors;
    const values = gainTable(ranks, scaleOf, DECODE_GAIN_ROWS);
    this.gains = backend.alloc("f32", values.length);
    this.gains.write(values);
  }
}
