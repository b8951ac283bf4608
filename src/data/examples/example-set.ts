import { createHash } from "node:crypto";
import { DataError } from "../../errors.js";
import { cutExample, type EncodedExample } from "./encode-example.js";
import type { BatchArrays, Examples } from "./examples.js";

/** Examples in memory, one after another. */
export interface ExampleTokens {
  readonly tokens: Uint16Array;
  /** Loss mask: 1 for tokens that the model learns to write. */
  readonly counted: Uint8Array;
  /** [examples + 1] The start of each example, then the end. */
  readonly starts: Uint32Array;
}

/** An example in a training pass: each token but the last, with the next token as its target. */
interface ExampleRange {
  /** Index of its first token, and the one after its last. */
  readonly start: number;
  readonly end: number;
}

/** Prompts and chats as examples of at most T tokens. The loss mask says which targets count. */
export class ExampleSet implements Examples {
  readonly #ranges: readonly ExampleRange[];
  /** Number of truncated examples. */
  readonly cut: number;
  /** Number of targets in the loss mask. */
  readonly targets: number;
  readonly #tokens: ExampleTokens;

  /** @throws {DataError} an id is outside the vocabulary, or an example has an empty loss mask. */
  constructor(tokens: ExampleTokens, T: number, vocabSize: number, path: string) {
    this.#tokens = tokens;
    checkStarts(tokens, path);
    const bad = tokens.tokens.findIndex((id) => id >= vocabSize);
    if (bad !== -1) {
      const expected = `ids below ${vocabSize}, the model's vocabulary`;
      throw new DataError({ op: `reading ${path}: token ${bad}`, expected, got: `${tokens.tokens[bad]}` });
    }
    const { starts, counted } = tokens;
    let cut = 0;
    this.#ranges = Array.from({ length: starts.length - 1 }, (_, i) => {
      const [from, to] = [starts[i]!, starts[i + 1]!];
      const first = counted.indexOf(1, from);
      const [start, end] = cutExample(to - from, first - from, T + 1);
      if (end - start < to - from) cut++;
      return { start: from + start, end: from + end };
    });
    this.cut = cut;
    let targets = 0;
    for (const { start, end } of this.#ranges) for (let i = start + 1; i < end; i++) targets += counted[i]!;
    this.targets = targets;
  }

  get count(): number {
    return this.#ranges.length;
  }

  length(i: number): number {
    const { start, end } = this.#ranges[i]!;
    return end - start - 1;
  }

  write(i: number, at: number, batch: Omit<BatchArrays, "values">): number {
    const { tokens, counted } = this.#tokens;
    const { start, end } = this.#ranges[i]!;
    let count = 0;
    for (let n = 0; n < end - start - 1; n++) {
      const next = start + n + 1;
      batch.tokens[at + n] = tokens[start + n]!;
      batch.targets[at + n] = counted[next] === 1 ? tokens[next]! : -1;
      batch.positions[at + n] = n;
      batch.first[at + n] = at;
      count += counted[next]!;
    }
    return count;
  }

  /** The tokens of example `i` before the first in the loss mask. */
  prompt(i: number): number[] {
    const { tokens, counted } = this.#tokens;
    const { start } = this.#ranges[i]!;
    return Array.from(tokens.subarray(start, counted.indexOf(1, start)));
  }

  /** A short hash of all of it. */
  get hash(): string {
    const hash = createHash("sha256");
    for (const array of Object.values(this.#tokens) as ArrayBufferView[]) {
      hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
    return hash.digest("hex").slice(0, 16);
  }

  /** The ids in the loss mask. */
  *learned(): Generator<number, void, void> {
    const { tokens, counted } = this.#tokens;
    for (const { start, end } of this.#ranges) {
      for (let i = start + 1; i < end; i++) if (counted[i] === 1) yield tokens[i]!;
    }
  }
}

function checkStarts({ tokens, counted, starts }: ExampleTokens, path: string): void {
  const whole = starts[0] === 0 && starts.at(-1) === tokens.length && counted.length === tokens.length;
  const learned = (i: number): boolean => {
    const first = counted.indexOf(1, starts[i]);
    return first > starts[i]! && first < starts[i + 1]!;
  };
  if (whole && starts.every((_, i) => i === starts.length - 1 || learned(i))) return;
  const expected = "examples with a loss mask that is not empty and leaves out their first token";
  throw new DataError({
    op: `reading ${path}`,
    expected,
    got: "a loss mask that is empty, or covers a first token",
    hint: "Prepare the data again",
  });
}

/** Joins examples into arrays. */
export function joinExamples(examples: readonly EncodedExample[]): ExampleTokens {
  const size = examples.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const [tokens, counted] = [new Uint16Array(size), new Uint8Array(size)];
  const starts = new Uint32Array(examples.length + 1);
  let at = 0;
  for (const [i, example] of examples.entries()) {
    tokens.set(example.tokens, at);
    counted.set(example.counted, at);
    at += example.tokens.length;
    starts[i + 1] = at;
  }
  return { tokens, counted, starts };
}
