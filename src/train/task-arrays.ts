import type { TaskHead } from "../architectures/task-head.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { HostBatch } from "./host-batch.js";

/** A task head's prediction for a text, and the expected one. */
export interface Outcome {
  /**
   * For classification one number, that of the label; for regression the number itself; the numbers of the labels of tokens; the first
   * and last token of a span.
   */
  readonly expected: readonly number[];
  /** The head's outputs, one for each label: of the token that it reads, or of each token with a label, or for spans of each token. */
  readonly scores: readonly (readonly number[])[];
  /** For spans: the type of each token. */
  readonly types?: readonly number[];
}

/** Score of a position outside the text, where no span starts or ends. */
const EXCLUDED = -1e9;

/** Buffers of a task head. */
export class TaskArrays {
  readonly bindings: Record<string, DeviceArray>;
  readonly #head: TaskHead;
  readonly #T: number;

  /** @param N tokens of a pass; @param T of a sequence */
  constructor(backend: Backend, head: TaskHead, N: number, T: number) {
    this.#head = head;
    this.#T = T;
    const scores = backend.alloc("f32", N * head.labels.length);
    this.bindings = { scores };
    if (head.kind === "regression") {
      const column = (): DeviceArray => backend.alloc("f32", N);
      Object.assign(this.bindings, { negatives: column(), counted: column(), slope: column() });
    } else if (head.kind === "spans") {
      const rows = 2 * Math.floor(N / T);
      const spanOrder = backend.alloc("i32", 2 * N);
      spanOrder.write(Int32Array.from({ length: 2 * N }, (_, i) => spanPlace(i, T)));
      const [targets, losses] = [backend.alloc("i32", rows), backend.alloc("f32", rows)];
      Object.assign(this.bindings, { spanOrder, targets, losses, excluded: backend.alloc("f32", rows * T) });
    }
  }

  /** @param scale factor of each text's loss before differentiation */
  write(batch: HostBatch, scale: number): void {
    if (this.#head.kind === "spans") this.#writeSpans(batch);
    if (this.#head.kind !== "regression") return;
    const { targets, values } = batch;
    const { negatives, counted, slope } = this.bindings;
    const count = Float32Array.from(targets, (target) => (target < 0 ? 0 : 1));
    negatives!.write(values.map((value, n) => -value * count[n]!));
    counted!.write(count);
    slope!.write(count.map((one) => 2 * scale * one));
  }

  #writeSpans({ targets, first }: HostBatch): void {
    const T = this.#T;
    const rows = targets.length / T;
    const both = Int32Array.from({ length: 2 * rows }, (_, i) => targets[(i >> 1) * T + (i & 1)]!);
    this.bindings.targets!.write(both);
    const excluded = new Float32Array(2 * rows * T);
    for (let i = 0; i < excluded.length; i++) {
      const [start, t] = [Math.floor(i / (2 * T)) * T, i % T];
      if (first[start + t] !== start) excluded[i] = EXCLUDED;
    }
    this.bindings.excluded!.write(excluded);
  }

  async outcomes(batch: HostBatch): Promise<Outcome[]> {
    const { kind, labels } = this.#head;
    const K = labels.length;
    const values = await this.bindings.scores!.read();
    const scoresAt = (n: number): number[] => Array.from(values.subarray(n * K, (n + 1) * K));
    if (kind === "spans") return this.#spans(batch, scoresAt);
    const { targets, first } = batch;
    const texts = new Map<number, { expected: number[]; scores: number[][] }>();
    for (const [n, target] of targets.entries()) {
      if (target < 0) continue;
      const text = texts.get(first[n]!) ?? { expected: [], scores: [] };
      texts.set(first[n]!, text);
      text.expected.push(kind === "regression" ? batch.values[n]! : target);
      text.scores.push(scoresAt(n));
    }
    return [...texts.values()];
  }

  #spans({ targets, first, tokenTypes }: HostBatch, scoresAt: (n: number) => number[]): Outcome[] {
    const T = this.#T;
    return Array.from({ length: targets.length / T }, (_, b) => b * T).flatMap((start) => {
      if (targets[start]! < 0) return [];
      const own = Array.from({ length: T }, (_, t) => start + t).filter((n) => first[n] === start);
      const expected = [targets[start]!, targets[start + 1]!];
      return [{ expected, scores: own.map(scoresAt), types: own.map((n) => tokenTypes[n]!) }];
    });
  }
}

/** Index into the scores [N, 2] for place i of the rows [2 · B, T]. */
function spanPlace(i: number, T: number): number {
  const [row, t] = [Math.floor(i / T), i % T];
  return 2 * ((row >> 1) * T + t) + (row & 1);
}
