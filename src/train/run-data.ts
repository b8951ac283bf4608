import { statSync } from "node:fs";
import type { DatasetInfo } from "../data/dataset-info.js";
import type { Template } from "../data/examples/template.js";
import { DataError } from "../errors.js";
import type { FillBatch } from "./host-batch.js";

export interface ExampleCounts {
  readonly train: number;
  readonly val: number;
  readonly cut: number;
  /** Of the training examples: others are told from them by it. */
  readonly hash: string;
}

/** The data of a run: training batches in their order, and what is held out. */
export interface TrainingData {
  /** The folder or shards. */
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
  /** With which examples were made; it goes with the finished model. */
  readonly template?: Template;
  /** Of data that is examples: how many there are, and how many of them had to be cut to the length of a sequence. */
  readonly examples?: ExampleCounts;
  /** Of data that is examples: what the sample of a step begins with. */
  readonly promptOf?: (step: number) => readonly number[];
  readonly fillTraining: FillBatch;
  readonly fillValidation: FillBatch;
  /** Passes of a validation; 0 where nothing is held out. */
  readonly validationPasses: number;
  /** How often a run of so many steps goes through the training data. */
  epochs(steps: number): number;
  /** Steps in which a run goes through the training data so often. */
  stepsFor(epochs: number): number;
  close(): void;
}

export function checkVocabulary(
  path: string,
  { tokenizer }: { readonly tokenizer: Pick<DatasetInfo["tokenizer"], "name" | "vocabSize"> },
  vocabSize: number,
): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new DataError({
    op: `training on ${path}`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: `a tokenizer of ${tokenizer.vocabSize} (${tokenizer.name})`,
    hint: "Prepare the data with the model's own tokenizer, or give the model a larger vocabulary",
  });
}

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // Nothing there, a path that runs through a file, no permission to look.
    return false;
  }
}
