import type { TokenDataset } from "../dataset.js";
import type { EpochOrder } from "../epoch-order.js";
import type { BatchArrays, Examples, Placement, TrainingOrder, ValidationOrder } from "./examples.js";

/** Windows of running text as examples: each is identified by the position of its first token, and all of its targets count. */
export class TextExamples implements Examples {
  readonly #data: TokenDataset;
  readonly #slots: number;
  readonly #documentStart: number | undefined;
  readonly #window: Uint16Array;

  /**
   * @param slots positions in a sequence, T
   * @param length tokens in a window: T, or fewer for a shorter text
   * @param documentStart the token that begins each document, if tokens may see only their own document
   */
  constructor(data: TokenDataset, slots: number, length: number, documentStart?: number) {
    this.#data = data;
    this.#slots = slots;
    this.#documentStart = documentStart;
    this.#window = new Uint16Array(length + 1);
  }

  length(): number {
    return this.#slots;
  }

  write(start: number, at: number, { tokens, targets, positions, first }: BatchArrays): number {
    const window = this.#window;
    const length = window.length - 1;
    this.#data.read(start, window);
    tokens.set(window.subarray(0, length), at);
    targets.set(window.subarray(1), at);
    let document = 0;
    for (let n = 0; n < this.#slots; n++) {
      if (n < length && window[n] === this.#documentStart) document = n;
      positions[at + n] = n - document;
      first[at + n] = at + document;
    }
    return length;
  }
}

/** B windows in each pass, shuffled differently each epoch. */
export class ShuffledWindows implements TrainingOrder {
  readonly #order: EpochOrder;
  readonly #B: number;

  constructor(order: EpochOrder, B: number) {
    this.#order = order;
    this.#B = B;
  }

  pass(pass: number): Placement[] {
    const { T } = this.#order;
    return Array.from({ length: this.#B }, (_, b) => ({ example: this.#order.start(pass * this.#B + b), at: b * T }));
  }

  epochsAfter(passes: number): number {
    return (passes * this.#B * this.#order.T) / this.#order.totalTokens;
  }

  stepsFor(epochs: number, passesPerStep: number): number {
    const { totalTokens, T } = this.#order;
    return Math.max(1, Math.round((epochs * totalTokens) / (passesPerStep * this.#B * T)));
  }
}

/** B consecutive windows in each pass, from the first token on. */
export class PlainWindows implements ValidationOrder {
  readonly passes: number;
  readonly #count: number;
  readonly #length: number;
  readonly #B: number;

  /** @param length tokens in each of `count` windows */
  constructor(count: number, length: number, B: number) {
    this.#count = count;
    this.#length = length;
    this.#B = B;
    this.passes = Math.ceil(count / B);
  }

  pass(pass: number): Placement[] {
    const [B, length] = [this.#B, this.#length];
    const rows = Math.max(0, Math.min(B, this.#count - pass * B));
    return Array.from({ length: rows }, (_, b) => ({ example: (pass * B + b) * length, at: b * length }));
  }
}
