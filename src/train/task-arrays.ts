import type { TaskHead } from "../architectures/task-head.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { HostBatch } from "./host-batch.js";

/** Output of a task head for a text, and the expected one: the number of a label, or for regression a number. */
export interface Outcome {
  readonly expected: number;
  /** One for each label. */
  readonly scores: readonly number[];
}

/** Buffers of a task head. */
export class TaskArrays {
  readonly bindings: Record<string, DeviceArray>;
  readonly #head: TaskHead;

  constructor(backend: Backend, head: TaskHead, N: number) {
    const column = (): DeviceArray => backend.alloc("f32", N);
    const columns = { negatives: column(), counted: column(), slope: column() };
    const scores = backend.alloc("f32", N * head.labels.length);
    this.#head = head;
    this.bindings = { scores, ...(head.kind === "regression" && columns) };
  }

  /** @param scale factor of each text's loss before differentiation */
  write({ targets, values }: HostBatch, scale: number): void {
    if (this.#head.kind !== "regression") return;
    const { negatives, counted, slope } = this.bindings;
    const count = Float32Array.from(targets, (target) => (target < 0 ? 0 : 1));
    negatives!.write(values.map((value, n) => -value * count[n]!));
    counted!.write(count);
    slope!.write(count.map((one) => 2 * scale * one));
  }

  async outcomes({ targets, values }: HostBatch): Promise<Outcome[]> {
    const K = this.#head.labels.length;
    const scores = await this.bindings.scores!.read();
    return [...targets].flatMap((target, n) => {
      if (target < 0) return [];
      const expected = this.#head.kind === "regression" ? values[n]! : target;
      return [{ expected, scores: Array.from(scores.subarray(n * K, (n + 1) * K)) }];
    });
  }
}
