import { createHash } from "node:crypto";
import { DataError } from "../../errors.js";
import { cutExample, type EncodedExample } from "./encode-example.js";

/** Examples in memory, one after another. */
export interface ExampleTokens {
  readonly tokens: Uint16Array;
  /** 1 for tokens that are learned. */
  readonly counted: Uint8Array;
  /** [examples + 1] where each begins; the last is the end. */
  readonly starts: Uint32Array;
}

/** An example as a pass of training sees it: each token but the last, with what follows it. */
export interface ExampleRange {
  /** Index of its first token, and the one after its last. */
  readonly start: number;
  readonly end: number;
}

/** Examples none of which takes more than T places. */
export class ExampleSet {
  readonly examples: readonly ExampleRange[];
  /** Of examples that were too long. */
  readonly cut: number;
  /** Tokens that are learned. */
  readonly targets: number;
  readonly #tokens: ExampleTokens;

  /** @throws {DataError} an id outside the vocabulary, or an example of which nothing is learned. */
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
    this.examples = Array.from({ length: starts.length - 1 }, (_, i) => {
      const [from, to] = [starts[i]!, starts[i + 1]!];
      const first = counted.indexOf(1, from);
      const [start, end] = cutExample(to - from, first - from, T + 1);
      if (end - start < to - from) cut++;
      return { start: from + start, end: from + end };
    });
    this.cut = cut;
    let targets = 0;
    for (const { start, end } of this.examples) for (let i = start + 1; i < end; i++) targets += counted[i]!;
    this.targets = targets;
  }

  /** Places that example `i` takes. */
  length(i: number): number {
    const { start, end } = this.examples[i]!;
    return end - start - 1;
  }

  /** Writes example `i` into place `at` of a pass; returns how many of its tokens are learned. */
  write(i: number, at: number, batch: Record<"tokens" | "targets" | "positions" | "first", Int32Array>): number {
    const { tokens, counted } = this.#tokens;
    const { start, end } = this.examples[i]!;
    let learned = 0;
    for (let n = 0; n < end - start - 1; n++) {
      const next = start + n + 1;
      batch.tokens[at + n] = tokens[start + n]!;
      batch.targets[at + n] = counted[next] === 1 ? tokens[next]! : -1;
      batch.positions[at + n] = n;
      batch.first[at + n] = at;
      learned += counted[next]!;
    }
    return learned;
  }

  /** The tokens of example `i` before the first that is learned. */
  prompt(i: number): number[] {
    const { tokens, counted } = this.#tokens;
    const { start } = this.examples[i]!;
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

  /** The ids that are learned. */
  *learned(): Generator<number, void, void> {
    const { tokens, counted } = this.#tokens;
    for (const { start, end } of this.examples) {
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
  const expected = "examples of which something is learned, but not their first token";
  throw new DataError({ op: `reading ${path}`, expected, got: "others", hint: "Make the data again" });
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
