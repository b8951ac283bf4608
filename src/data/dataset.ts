import { DataError } from "../errors.js";
import { needNode } from "../util/runtime.js";
import { checkWindow, type EpochOrder } from "./epoch-order.js";
import { checkedUint16 } from "./shard.js";

/** A source of tokens: a shard file, or an array. */
export interface TokenSource {
  /** The source's name, for error messages. */
  readonly path: string;
  /** Number of tokens. */
  readonly length: number;
  /** Fills `out` with the tokens from position `start` on. The range never exceeds `length`. */
  read(start: number, out: Uint16Array): void;
  close?(): void;
}

export interface DatasetOptions {
  /** Every token read must be below this. Default 65,536: no check. */
  readonly vocabSize?: number | undefined;
}

/** The split of a prepared data set to open. */
export type Split = "train" | "val";

/**
 * Token sequences from one or more shards, as one stream of N tokens. Reads are synchronous and by position, with only the
 * current window in memory.
 */
export class TokenDataset {
  /** N. */
  readonly totalTokens: number;
  readonly vocabSize: number;
  readonly sources: readonly TokenSource[];
  /** First token of each source in the stream. */
  readonly #starts: number[] = [];
  #scratch = new Uint16Array(0);

  constructor(sources: readonly TokenSource[], options: DatasetOptions = {}) {
    let total = 0;
    for (const source of sources) {
      this.#starts.push(total);
      total += source.length;
    }
    if (total === 0) {
      throw new DataError({ op: `reading ${sources[0]?.path ?? "a data set"}`, expected: "tokens", got: "none" });
    }
    this.sources = sources;
    this.totalTokens = total;
    this.vocabSize = options.vocabSize ?? 65536;
  }

  /**
   * Opens a shard, a pattern of shards (`data/train-*.bin`) or a folder made by `gpt2 data` (files; Node only).
   *
   * @throws {DataError} the path does not exist, or a shard is damaged
   */
  static async open(path: string, options: DatasetOptions & { readonly split?: Split } = {}): Promise<TokenDataset> {
    needNode("TokenDataset.open", "Fetch the tokens and use TokenDataset.from");
    const { openDataset } = await import("#node/data/open-dataset.js");
    return openDataset(path, options);
  }

  /** A data set of tokens held in memory. */
  static from(tokens: ArrayLike<number>, options: DatasetOptions = {}, path = "(tokens in memory)"): TokenDataset {
    const data = checkedUint16(tokens);
    const read = (start: number, out: Uint16Array) => out.set(data.subarray(start, start + out.length));
    return new TokenDataset([{ path, length: data.length, read }], options);
  }

  /** Number of whole windows of T tokens with their targets, from the first token on: ⌊(N-1) / T⌋. */
  windows(T: number): number {
    checkWindow(this.totalTokens, T);
    return Math.floor((this.totalTokens - 1) / T);
  }

  /** The T + 1 tokens of window `index` in plain order: T inputs, and the same shifted by one as targets. */
  sequence(index: number, T: number): Uint16Array {
    const out = new Uint16Array(T + 1);
    this.read(index * T, out);
    return out;
  }

  /**
   * Fills `out` from token `start` of the stream on, and wraps around at its end.
   *
   * @throws {DataError} an id of `vocabSize` or more, with its shard and position
   */
  read(start: number, out: Uint16Array): void {
    let position = start % this.totalTokens;
    let which = this.#sourceAt(position);
    for (let done = 0; done < out.length; ) {
      const source = this.sources[which]!;
      const local = position - this.#starts[which]!;
      const n = Math.min(out.length - done, source.length - local);
      if (n > 0) {
        const part = out.subarray(done, done + n);
        source.read(local, part);
        this.#check(source, local, part);
      }
      done += n;
      position += n;
      which++;
      if (which === this.sources.length) {
        which = 0;
        position = 0;
      }
    }
  }

  /**
   * Writes sequences `first` … `first + B - 1` into the caller's arrays, [B, T] each, row by row.
   *
   * With an `order`, sequence numbers have no end, and each epoch is shuffled differently. Without one, sequences are the windows
   * in plain order (for validation), and rows beyond the last window stay unchanged.
   *
   * @returns number of rows filled: B, or fewer at the end of the plain order
   */
  fillBatch(first: number, B: number, T: number, tokens: Int32Array, targets: Int32Array, order?: EpochOrder): number {
    if (order !== undefined && (order.T !== T || order.totalTokens !== this.totalTokens)) {
      throw new DataError({
        op: "reading a batch",
        expected: `an order of ${this.totalTokens} tokens in windows of ${T}`,
        got: `one of ${order.totalTokens} tokens in windows of ${order.T}`,
      });
    }
    if (tokens.length < B * T || targets.length < B * T) {
      const got = `${tokens.length} and ${targets.length}`;
      throw new DataError({ op: "reading a batch", expected: `arrays of ${B} × ${T} tokens`, got });
    }
    const rows = order === undefined ? Math.max(0, Math.min(B, this.windows(T) - first)) : B;
    if (this.#scratch.length !== T + 1) this.#scratch = new Uint16Array(T + 1);
    const window = this.#scratch;
    for (let b = 0; b < rows; b++) {
      this.read(order === undefined ? (first + b) * T : order.start(first + b), window);
      tokens.set(window.subarray(0, T), b * T);
      targets.set(window.subarray(1), b * T);
    }
    return rows;
  }

  close(): void {
    for (const source of this.sources) source.close?.();
  }

  /** The last source that starts at or before `position` and is not empty. */
  #sourceAt(position: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #check(source: TokenSource, start: number, tokens: Uint16Array): void {
    if (this.vocabSize > 65535) return;
    for (let i = 0; i < tokens.length; i++) {
      if (tokens[i]! < this.vocabSize) continue;
      throw new DataError({
        op: `reading ${source.path}: token ${start + i}`,
        expected: `an id below ${this.vocabSize}, the size of the vocabulary`,
        got: String(tokens[i]),
        hint: "The shards were made with another tokenizer, or are damaged",
      });
    }
  }
}
