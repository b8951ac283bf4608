import type { ModelConfig } from "../architectures/config.js";
import type { Objective } from "../architectures/training.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import { DataError } from "../errors.js";
import type { HostBatch } from "./host-batch.js";

/** Buffers of an {@link Objective}: the tokens of a pass to predict from, and the targets. */
export class PredictionArrays {
  readonly bindings: Record<string, DeviceArray>;
  readonly #predicted: number;
  readonly #next: number;

  constructor(backend: Backend, config: ModelConfig, objective: Objective, N: number) {
    const { predicted, next } = objective.rows(config, N);
    this.#predicted = predicted;
    this.#next = next;
    const R = predicted + next;
    this.bindings = {
      predicted: backend.alloc("i32", R),
      targets: backend.alloc("i32", R),
      losses: backend.alloc("f32", R),
    };
  }

  /** @throws {DataError} there are more predictions than a pass has room for. */
  write({ targets, next }: HostBatch): void {
    const used = new Uint8Array(targets.length);
    const index: number[] = [];
    const values: number[] = [];
    const take = (from: Int32Array, capacity: number, what: string): void => {
      const start = index.length;
      for (let n = 0; n < from.length; n++) {
        if (from[n]! < 0) continue;
        used[n] = 1;
        index.push(n);
        values.push(from[n]!);
      }
      if (index.length - start > capacity) {
        const got = String(index.length - start);
        throw new DataError({ op: "training: a pass", expected: `at most ${capacity} ${what}`, got });
      }
      // Unused rows read tokens that nothing else reads, and have no targets.
      while (index.length < start + capacity) index.push(-1);
      while (values.length < start + capacity) values.push(-1);
    };
    take(targets, this.#predicted, "masked tokens");
    if (this.#next > 0) take(next, this.#next, "pairs of texts");
    let free = 0;
    for (let i = 0; i < index.length; i++) {
      if (index[i]! >= 0) continue;
      while (used[free] === 1) free++;
      index[i] = free++;
    }
    this.bindings.predicted!.write(Int32Array.from(index));
    this.bindings.targets!.write(Int32Array.from(values));
  }

  /** Sums of the losses of the last run: of masked tokens, and of pairs of texts. */
  async losses(): Promise<{ readonly predicted: number; readonly next: number }> {
    const losses = Array.from(await this.bindings.losses!.read());
    const sum = (from: number, to: number): number => losses.slice(from, to).reduce((a, b) => a + b, 0);
    return { predicted: sum(0, this.#predicted), next: sum(this.#predicted, losses.length) };
  }
}

/** Number of pairs of texts in batches, at least 1 to allow division. */
export const pairsIn = (batches: readonly HostBatch[]): number =>
  Math.max(
    1,
    batches.reduce((sum, { next }) => sum + next.reduce((n, label) => n + (label >= 0 ? 1 : 0), 0), 0),
  );
