import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import type { TokenDataset } from "../data/dataset.js";
import { DATASET_TOKENIZER_FILE, readDatasetInfo } from "../data/dataset-info.js";
import { EpochOrder } from "../data/epoch-order.js";
import { findShards, openDataset } from "../data/open-dataset.js";
import { deriveKey } from "../util/random.js";
import type { FillBatch, HostBatch } from "./host-batch.js";
import { checkVocabulary, isFolder, type TrainingData } from "./run-data.js";
import type { TrainSettings } from "./settings.js";

/** The epoch order's random stream. */
const ORDER_LABEL = 0x64617461;

/** `<|endoftext|>` where nothing says it: the last token of a GPT-2 vocabulary; larger ones are GPT-2's, padded for speed. */
export const defaultEndOfText = (vocabSize: number): number => Math.min(vocabSize - 1, 50256);

/** Token shards, as `gpt2 data` and llm.c make them. */
export class TokenData implements TrainingData {
  readonly path: string;
  readonly vocabSize: number | undefined;
  readonly tokens: number;
  readonly valTokens: number | undefined;
  readonly bitsPerByte: number | undefined;
  readonly tokenizer: string | undefined;
  readonly #endOfText: number;
  readonly #settings: TrainSettings;
  readonly #train: TokenDataset;
  readonly #val: TokenDataset | undefined;
  readonly #order: EpochOrder;

  /** @throws {DataError} missing or damaged shards, too few tokens, or a vocabulary that is not the model's. */
  constructor(path: string, config: ModelConfig, settings: TrainSettings) {
    const { vocabSize } = config;
    const { seed, seqLength: T, valEvery } = settings;
    const folder = isFolder(path);
    const info = folder ? readDatasetInfo(path) : undefined;
    if (info) checkVocabulary(path, info, vocabSize);
    this.#endOfText = info?.tokenizer.endOfText ?? defaultEndOfText(vocabSize);
    this.path = path;
    this.vocabSize = info?.tokenizer.vocabSize;
    this.#settings = settings;
    this.tokenizer = folder ? readIfThere(join(path, DATASET_TOKENIZER_FILE)) : undefined;
    this.#train = openDataset(path, { split: "train", vocabSize });
    this.tokens = this.#train.totalTokens;
    this.#order = new EpochOrder(this.tokens, T, deriveKey(seed, ORDER_LABEL));
    if (valEvery === 0 || !folder || findShards(path, "val").length === 0) return;
    const val = openDataset(path, { split: "val", vocabSize });
    // A token is scored when one stands before it.
    if (val.totalTokens < 2) return;
    this.#val = val;
    this.valTokens = val.totalTokens > T ? val.windows(T) * T : val.totalTokens - 1;
    const bytes = info?.splits.val?.bytes ?? 0;
    if (bytes > 0) this.bitsPerByte = val.totalTokens / bytes / Math.LN2;
  }

  readonly fillTraining: FillBatch = (pass, batch) => {
    const { batchSize: B, seqLength: T } = this.#settings;
    const rows = this.#train.fillBatch(pass * B, B, T, batch.tokens, batch.targets, this.#order);
    this.#isolate(batch);
    return T * rows;
  };

  readonly fillValidation: FillBatch = (pass, batch) => {
    const { batchSize: B, seqLength: T } = this.#settings;
    const val = this.#val!;
    if (val.totalTokens > T) {
      const rows = val.fillBatch(pass * B, B, T, batch.tokens, batch.targets);
      this.#isolate(batch);
      return T * rows;
    }
    const all = new Uint16Array(val.totalTokens);
    val.read(0, all);
    batch.tokens.set(all.subarray(0, -1));
    batch.targets.set(all.subarray(1));
    this.#isolate(batch);
    return all.length - 1;
  };

  /** Each document begins with `<|endoftext|>`. */
  #isolate({ tokens, positions, first }: HostBatch): void {
    const { seqLength: T, isolate } = this.#settings;
    if (isolate === 0) return;
    let start = 0;
    for (let n = 0; n < tokens.length; n++) {
      if (n % T === 0 || tokens[n] === this.#endOfText) start = n;
      positions[n] = n - start;
      first[n] = start;
    }
  }

  get validationPasses(): number {
    const { batchSize, seqLength, valBatches } = this.#settings;
    const all = Math.ceil((this.valTokens ?? 0) / (batchSize * seqLength));
    return valBatches > 0 ? Math.min(valBatches, all) : all;
  }

  epochs(steps: number): number {
    return (steps * this.#settings.batchTokens) / this.tokens;
  }

  stepsFor(epochs: number): number {
    return Math.max(1, Math.round((epochs * this.tokens) / this.#settings.batchTokens));
  }

  close(): void {
    this.#train.close();
    this.#val?.close();
  }
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
