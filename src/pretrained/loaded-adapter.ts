import { DECODE_GAIN_ROWS } from "../architectures/declare.js";
import { gainTable, type LoraRanks } from "../architectures/lora.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { LoadedHead } from "./loaded-head.js";

/** Name of the adapter for requests that do not choose one. */
export const DEFAULT_ADAPTER = "default";

let count = 0;

/** A LoRA adapter in a backend's memory, for sequences of an {@link Engine}. */
export class LoadedAdapter {
  /** Tells adapters apart. */
  readonly id = count++;
  readonly ranks: LoraRanks;
  /** Its matrices by their names in `loraTable`. They are only read. */
  readonly tensors: ReadonlyMap<string, DeviceArray>;
  readonly gains: DeviceArray;
  /** The task head, if the adapter has one. */
  readonly head: LoadedHead | undefined;

  /** @param scaleOf the factor of each layer's product */
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
