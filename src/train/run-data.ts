import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TokenDataset } from "../data/dataset.js";
import { DATASET_TOKENIZER_FILE, type DatasetInfo, readDatasetInfo } from "../data/dataset-info.js";
import { EpochOrder } from "../data/epoch-order.js";
import { findShards, openDataset } from "../data/open-dataset.js";
import { DataError } from "../errors.js";
import type { GPT2Config } from "../model/config.js";
import { deriveKey } from "../util/random.js";
import type { FillBatch } from "./model-trainer.js";
import type { TrainSettings } from "./settings.js";

/** The epoch order's random stream. */
const ORDER_LABEL = 0x64617461;

/** The data of a run: training batches in their order, and the held-out text. */
export class RunData {
  readonly path: string;
  /** Ids of its tokenizer, where the data set says. */
  readonly vocabSize: number | undefined;
  /** Training tokens. */
  readonly tokens: number;
  /** Tokens that a validation can score at most; undefined where nothing is held out, or nobody asks. */
  readonly valTokens: number | undefined;
  /** Bits per byte for one nat per token, on the held-out text, where the data set knows its bytes. */
  readonly bitsPerByte: number | undefined;
  /** Text of the tokenizer.json that goes with every model made from this data. */
  readonly tokenizer: string | undefined;
  readonly #settings: TrainSettings;
  readonly #train: TokenDataset;
  readonly #val: TokenDataset | undefined;
  readonly #order: EpochOrder;

  /** @throws {DataError} missing or damaged shards, too few tokens, or a vocabulary that is not the model's. */
  constructor(path: string, config: GPT2Config, settings: TrainSettings) {
    const { vocabSize } = config;
    const { seed, seqLength: T, valEvery } = settings;
    const folder = isFolder(path);
    const info = folder ? readDatasetInfo(path) : undefined;
    if (info) checkVocabulary(path, info, vocabSize);
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

  readonly fillTraining: FillBatch = (pass, { tokens, targets }) => {
    const { batchSize: B, seqLength: T } = this.#settings;
    return T * this.#train.fillBatch(pass * B, B, T, tokens, targets, this.#order);
  };

  readonly fillValidation: FillBatch = (pass, { tokens, targets }) => {
    const { batchSize: B, seqLength: T } = this.#settings;
    const val = this.#val!;
    if (val.totalTokens > T) return T * val.fillBatch(pass * B, B, T, tokens, targets);
    const all = new Uint16Array(val.totalTokens);
    val.read(0, all);
    tokens.set(all.subarray(0, -1));
    targets.set(all.subarray(1));
    return all.length - 1;
  };

  /** Passes of a validation; 0 where nothing is held out. */
  get validationPasses(): number {
    const { batchSize, seqLength, valBatches } = this.#settings;
    const all = Math.ceil((this.valTokens ?? 0) / (batchSize * seqLength));
    return valBatches > 0 ? Math.min(valBatches, all) : all;
  }

  close(): void {
    this.#train.close();
    this.#val?.close();
  }
}

function checkVocabulary(path: string, { tokenizer }: DatasetInfo, vocabSize: number): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new DataError({
    op: `training on ${path}`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: `a tokenizer of ${tokenizer.vocabSize} (${tokenizer.name})`,
    hint: "Prepare the data with the model's own tokenizer, or give the model a larger vocabulary",
  });
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

export const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
