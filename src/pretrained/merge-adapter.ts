import { loraA, loraB } from "../architectures/lora.js";
import { architectureOf, tensorTable } from "../architectures/registry.js";
import { numel } from "../architectures/tensor-spec.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { CheckpointError } from "../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import type { AdapterCheckpoint } from "./peft/load.js";

/**
 * A model with an adapter folded into its weights: W + s B A in float32, computed when a tensor is read. Closing it closes
 * both.
 *
 * @param adapter opened for the checkpoint's shape.
 */
export function mergeAdapter(checkpoint: Checkpoint, adapter: AdapterCheckpoint): Checkpoint {
  const { head } = adapter;
  // An encoder's task head replaces the heads for pre-training.
  const config = (head && architectureOf(checkpoint.config).withHead?.(checkpoint.config, head)) ?? checkpoint.config;
  const tensors = new Map(
    tensorTable(config).map(({ name }): [string, StoredTensor] => {
      const layer = name.replace(/\.weight$/, "");
      const replaced = adapter.replaced.get(name);
      if (replaced) return [name, replaced];
      const tensor = checkpoint.tensors.get(name);
      if (tensor === undefined) {
        const op = `merging ${adapter.path} into ${checkpoint.path}`;
        throw new CheckpointError({ op, expected: `the tensor ${name} in one of them`, got: "none" });
      }
      return [name, name !== layer && adapter.ranks.has(layer) ? new MergedTensor(tensor, adapter, layer) : tensor];
    }),
  );
  return {
    ...checkpoint,
    path: `${checkpoint.path} + ${adapter.path}`,
    basePath: checkpoint.path,
    config,
    tensors,
    ...(adapter.head && { head: adapter.head }),
    close: () => {
      adapter.close();
      checkpoint.close();
    },
  };
}

class MergedTensor implements StoredTensor {
  readonly name: string;
  readonly dtype = "f32";
  readonly shape: readonly number[];
  readonly storedAs = "out_in";
  readonly file: string;
  readonly byteLength: number;
  readonly inMemory = false;
  readonly #base: StoredTensor;
  readonly #adapter: AdapterCheckpoint;
  readonly #layer: string;

  constructor(base: StoredTensor, adapter: AdapterCheckpoint, layer: string) {
    this.name = base.name;
    this.shape = base.shape;
    this.file = base.file;
    this.byteLength = 4 * numel(base.shape);
    this.#base = base;
    this.#adapter = adapter;
    this.#layer = layer;
  }

  get data(): Uint8Array {
    const values = new Float32Array(numel(this.shape));
    this.readInto(values);
    return new Uint8Array(values.buffer);
  }

  checkFinite(): void {
    this.readInto(new Float32Array(numel(this.shape)));
  }

  readInto(dst: Float32Array): void {
    this.#base.readInto(dst);
    this.#add(0, dst);
  }

  readRows(first: number, dst: Float32Array): void {
    this.#base.readRows(first, dst);
    this.#add(first, dst);
  }

  /** dst[o - first, i] += s Σ_r B[o, r] A[r, i], summed in double precision. */
  #add(first: number, dst: Float32Array): void {
    const { ranks, scales, tensors } = this.#adapter;
    const [rank, scale] = [ranks.get(this.#layer)!, scales.get(this.#layer)!];
    const width = this.shape.at(-1)!;
    const rows = dst.length / width;
    const [a, b] = [new Float32Array(rank * width), new Float32Array(rows * rank)];
    tensors.get(loraA(this.#layer))!.readInto(a);
    tensors.get(loraB(this.#layer))!.readRows(first, b);
    const sum = new Float64Array(width);
    for (let o = 0; o < rows; o++) {
      sum.fill(0);
      for (let r = 0; r < rank; r++) {
        const factor = scale * b[o * rank + r]!;
        if (factor === 0) continue;
        for (let i = 0; i < width; i++) sum[i]! += factor * a[r * width + i]!;
      }
      for (let i = 0; i < width; i++) dst[o * width + i]! += sum[i]!;
    }
    if (!dst.every(Number.isFinite)) {
      const op = `merging ${this.#adapter.path} into ${this.file}: tensor ${this.name}`;
      throw new CheckpointError({ op, expected: "finite values", got: "NaN or infinity" });
    }
  }
}
