import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { rename } from "../util/rename.js";
import type { EncodedBatch } from "./batch.js";
import type { Split } from "./dataset.js";
import type { SourceInfo, SplitInfo } from "./dataset-info.js";
import { type Input, type InputFile, nameOf } from "./inputs.js";
import { ShardFile, type ShardInfo, ShardSeriesWriter } from "./shard-file.js";

interface SplitState {
  series: ShardSeriesWriter;
  documents: number;
  tokens: number;
  bytes: number;
}

/** The parts of a tokenizer needed to hold out a tail. */
export interface TailTokenizer {
  readonly endOfText: number;
  decodeBytes(ids: ArrayLike<number>): Uint8Array;
}

/** Writes encoded batches, in order, into the shards of the two splits, and counts documents, tokens and bytes. */
export class DatasetWriter {
  readonly #dir: string;
  readonly #shardTokens: number;
  readonly splits: Record<Split, SplitState>;
  replaced = 0;
  empty = 0;
  /** Split of the last batch's last document. */
  #last: Split = "train";
  readonly #perInput = new Map<number, { documents: number; bytes: number }>();

  constructor(dir: string, shardTokens: number) {
    this.#dir = dir;
    this.#shardTokens = shardTokens;
    this.splits = { train: this.#newSplit("train"), val: this.#newSplit("val") };
  }

  get documents(): number {
    return this.splits.train.documents + this.splits.val.documents;
  }

  get tokens(): number {
    return this.splits.train.tokens + this.splits.val.tokens;
  }

  /** @param files the files that batches refer to by index */
  async write(encoded: EncodedBatch, files: readonly InputFile[]): Promise<void> {
    let at = 0;
    for (const segment of encoded.segments) {
      this.#last = segment.split ?? this.#last;
      const split = this.splits[this.#last];
      await split.series.write(encoded.tokens.subarray(at, at + segment.tokens));
      at += segment.tokens;
      split.tokens += segment.tokens;
      split.documents += segment.documents;
      split.bytes += segment.bytes;
      const { input } = files[segment.file]!;
      const counts = this.#perInput.get(input) ?? { documents: 0, bytes: 0 };
      counts.documents += segment.documents;
      counts.bytes += segment.bytes;
      this.#perInput.set(input, counts);
    }
    this.replaced += encoded.replaced;
    this.empty += encoded.empty;
  }

  async finish(): Promise<void> {
    await this.splits.train.series.finish();
    await this.splits.val.series.finish();
  }

  /** Closes the files of an abandoned data set. */
  async close(): Promise<void> {
    await this.splits.train.series.close();
    await this.splits.val.series.close();
  }

  /**
   * Holds out the last `fraction` of the tokens, for text with few documents that all fell into one split, such as a book. The
   * held-out part begins with its own end-of-text token.
   */
  async holdOutTail(fraction: number, tokenizer: TailTokenizer): Promise<void> {
    const from = this.splits.train.tokens > 0 ? this.splits.train : this.splits.val;
    const whole = await this.#setAside(from.series.shards);
    const [train, val] = [this.#newSplit("train"), this.#newSplit("val")];
    const cut = from.tokens - Math.max(1, Math.round(fraction * from.tokens));
    let position = 0;
    for (const path of whole) {
      for (const tokens of readTokens(path)) {
        const inTrain = Math.min(tokens.length, Math.max(0, cut - position));
        await train.series.write(tokens.subarray(0, inTrain));
        train.tokens += inTrain;
        position += tokens.length;
        const rest = tokens.subarray(inTrain);
        if (rest.length === 0) continue;
        if (val.tokens === 0 && rest[0] !== tokenizer.endOfText) {
          await val.series.write(Uint16Array.of(tokenizer.endOfText));
          val.tokens++;
          val.documents++;
        }
        await val.series.write(rest);
        val.tokens += rest.length;
        const text = rest.filter((token) => token !== tokenizer.endOfText);
        val.documents += rest.length - text.length;
        val.bytes += tokenizer.decodeBytes(text).length;
      }
      await rm(path);
    }
    train.bytes = from.bytes - val.bytes;
    // A document cut in two counts on both sides.
    train.documents = from.documents - val.documents + (train.tokens + val.tokens - from.tokens);
    Object.assign(this.splits, { train, val });
    await this.finish();
  }

  splitInfo(split: Split): SplitInfo {
    const { series, documents, tokens, bytes } = this.splits[split];
    return { shards: series.shards.map(({ path }) => basename(path)), documents, tokens, bytes };
  }

  sources(inputs: readonly Input[], files: readonly InputFile[], heldOutFrom: number): SourceInfo[] {
    return inputs.map((input, i) => ({
      input: nameOf(input),
      heldOut: i >= heldOutFrom,
      files: files.filter((file) => file.input === i).length,
      documents: this.#perInput.get(i)?.documents ?? 0,
      bytes: this.#perInput.get(i)?.bytes ?? 0,
    }));
  }

  #newSplit(name: Split): SplitState {
    return { series: new ShardSeriesWriter(this.#dir, name, this.#shardTokens), documents: 0, tokens: 0, bytes: 0 };
  }

  async #setAside(shards: readonly ShardInfo[]): Promise<string[]> {
    const paths: string[] = [];
    for (const [i, { path }] of shards.entries()) {
      paths.push(join(this.#dir, `whole-${i}.bin`));
      await rename(path, paths[i]!);
    }
    return paths;
  }
}

function* readTokens(path: string): Generator<Uint16Array> {
  const shard = new ShardFile(path);
  try {
    for (let at = 0; at < shard.length; at += 1 << 18) {
      const tokens = new Uint16Array(Math.min(1 << 18, shard.length - at));
      shard.read(at, tokens);
      yield tokens;
    }
  } finally {
    shard.close();
  }
}
