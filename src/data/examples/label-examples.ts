import { createHash } from "node:crypto";
import { DataError } from "../../errors.js";
import type { BatchArrays, Examples } from "./examples.js";
import type { LabelKind, LabelledTexts } from "./labelled-folder.js";

/**
 * Texts with labels as examples. For a class or a number, the token that the head reads has the target; for labels of
 * tokens, each token has its own; for a span, the first two positions have its start and end, and each text gets its
 * own sequence, because the loss is over the positions of a sequence. Texts longer than T are cut at their end.
 */
export class LabelExamples implements Examples {
  readonly count: number;
  /** Number of texts longer than T. */
  readonly cut: number;
  readonly #texts: LabelledTexts;
  readonly #kind: LabelKind;
  readonly #T: number;
  readonly #labelAt: "first" | "last";

  /** @throws {DataError} an id outside the vocabulary, or a window of a question that is longer than T. */
  constructor(
    texts: LabelledTexts,
    kind: LabelKind,
    { T, vocabSize, labelAt }: { readonly T: number; readonly vocabSize: number; readonly labelAt: "first" | "last" },
    path: string,
  ) {
    const bad = texts.tokens.findIndex((id) => id >= vocabSize);
    if (bad !== -1) {
      const expected = `ids below ${vocabSize}, the model's vocabulary`;
      throw new DataError({ op: `reading ${path}: token ${bad}`, expected, got: `${texts.tokens[bad]}` });
    }
    this.#texts = texts;
    this.#kind = kind;
    this.#T = T;
    this.#labelAt = labelAt;
    this.count = texts.starts.length - 1;
    const lengths = Array.from({ length: this.count }, (_, i) => this.#tokens(i));
    this.cut = lengths.filter((length) => length > T).length;
    if (kind !== "spans" || this.cut === 0) return;
    const got = `one of ${lengths.reduce((most, n) => Math.max(most, n), 0)}`;
    const hint = "Train with longer sequences, or prepare the data for shorter ones";
    throw new DataError({ op: `reading ${path}`, expected: `windows of at most ${T} tokens`, got, hint });
  }

  length(i: number): number {
    return this.#kind === "spans" ? this.#T : Math.min(this.#T, this.#tokens(i));
  }

  write(i: number, at: number, batch: BatchArrays): number {
    const { tokens, types, starts } = this.#texts;
    const start = starts[i]!;
    const length = Math.min(this.#T, this.#tokens(i));
    for (let n = 0; n < length; n++) {
      batch.tokens[at + n] = tokens[start + n]!;
      batch.tokenTypes[at + n] = types[start + n]!;
      batch.positions[at + n] = n;
      batch.first[at + n] = at;
    }
    for (let n = at + length; n < at + this.length(i); n++) [batch.positions[n], batch.first[n]] = [0, n];
    return this.#writeTargets(i, at, length, batch);
  }

  #writeTargets(i: number, at: number, length: number, { targets, values }: BatchArrays): number {
    const { targets: own, starts } = this.#texts;
    if (this.#kind === "spans") {
      targets.set(own.subarray(2 * i, 2 * i + 2), at);
      return 2;
    }
    if (this.#kind === "tokens") {
      const some = own.subarray(starts[i]!, starts[i]! + length);
      targets.set(some, at);
      return some.reduce((count, target) => count + (target < 0 ? 0 : 1), 0);
    }
    const labelled = this.#labelAt === "first" ? at : at + length - 1;
    targets[labelled] = this.#kind === "regression" ? 0 : own[i]!;
    values[labelled] = own[i]!;
    return 1;
  }

  /** A short hash of all of it. */
  get hash(): string {
    const hash = createHash("sha256");
    const { tokens, types, starts, targets } = this.#texts;
    for (const { buffer, byteOffset, byteLength } of [tokens, types, starts, targets]) {
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    return hash.digest("hex").slice(0, 16);
  }

  #tokens(i: number): number {
    return this.#texts.starts[i + 1]! - this.#texts.starts[i]!;
  }
}
