import { createHash } from "node:crypto";
import { DataError } from "../../errors.js";
import type { BatchArrays, Examples } from "./examples.js";
import type { LabelKind, LabelledTexts } from "./labelled-folder.js";

/** Texts with labels as examples: one token's target is the label, and alone counts: the one that the head reads. Texts longer than T are cut at their end. */
export class LabelExamples implements Examples {
  readonly count: number;
  /** Texts that are longer than T. */
  readonly cut: number;
  readonly #texts: LabelledTexts;
  readonly #kind: LabelKind;
  readonly #T: number;
  readonly #labelAt: "first" | "last";

  /** @throws {DataError} an id outside the vocabulary. */
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
    this.count = texts.targets.length;
    this.cut = texts.targets.reduce((cut, _, i) => cut + (this.#tokens(i) > T ? 1 : 0), 0);
  }

  length(i: number): number {
    return Math.min(this.#T, this.#tokens(i));
  }

  write(i: number, at: number, batch: BatchArrays): number {
    const { tokens, starts, targets } = this.#texts;
    const start = starts[i]!;
    const length = this.length(i);
    for (let n = 0; n < length; n++) {
      batch.tokens[at + n] = tokens[start + n]!;
      batch.positions[at + n] = n;
      batch.first[at + n] = at;
    }
    const labelled = this.#labelAt === "first" ? at : at + length - 1;
    batch.targets[labelled] = this.#kind === "regression" ? 0 : targets[i]!;
    batch.values[labelled] = targets[i]!;
    return 1;
  }

  /** A short hash of all of it. */
  get hash(): string {
    const hash = createHash("sha256");
    const { tokens, starts, targets } = this.#texts;
    for (const { buffer, byteOffset, byteLength } of [tokens, starts, targets]) {
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    return hash.digest("hex").slice(0, 16);
  }

  #tokens(i: number): number {
    return this.#texts.starts[i + 1]! - this.#texts.starts[i]!;
  }
}
