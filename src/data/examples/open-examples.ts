/** Training data of any kind on disk, as examples in their order. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { Tokenizer } from "../../tokenizer/tokenizer.js";
import { readTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { isFolder } from "../../util/is-folder.js";
import { deriveKey } from "../../util/random.js";
import type { TokenDataset } from "../dataset.js";
import { DATASET_TOKENIZER_FILE, type DatasetInfo, readDatasetInfo } from "../dataset-info.js";
import { EpochOrder } from "../epoch-order.js";
import { findShards, openDataset } from "../open-dataset.js";
import { readSmallText } from "../small-file.js";
import { type ExamplesInfo, readExamples, readExamplesInfo } from "./example-folder.js";
import { ExampleSet } from "./example-set.js";
import type { Examples, TrainingOrder, ValidationOrder } from "./examples.js";
import { LabelExamples } from "./label-examples.js";
import { type LabelledInfo, readLabelled, readLabelledInfo } from "./labelled-folder.js";
import { Packing } from "./packing.js";
import type { Template } from "./template.js";
import { PlainWindows, ShuffledWindows, TextExamples } from "./text-examples.js";

export interface ExampleCounts {
  readonly train: number;
  readonly val: number;
  /** Examples that were cut to the length of a sequence. */
  readonly cut: number;
  /** Hash of the training examples, which a resumed run checks. */
  readonly hash: string;
}

export interface TrainingSplit {
  readonly examples: Examples;
  readonly order: TrainingOrder;
  /** Tokens, as the data set counts them. */
  readonly tokens: number;
}

export interface ValidationSplit {
  readonly examples: Examples;
  readonly order: ValidationOrder;
  /** Tokens that a whole validation scores; with labels, tokens that it reads. */
  readonly tokens: number;
  /** Bits per byte for one nat per token, where the data set knows its bytes. */
  readonly bitsPerByte?: number | undefined;
}

/** The data of a run. */
export interface ExampleSource {
  /** The folder or shards. */
  readonly path: string;
  /** Name of its tokenizer, if the data set gives it. */
  readonly vocabSize: number | undefined;
  readonly train: TrainingSplit;
  readonly val?: ValidationSplit | undefined;
  /** Text of the tokenizer.json that goes with every model made from this data. */
  readonly tokenizer: string | undefined;
  /** The template that examples were made with; it goes with the finished model. */
  readonly template?: Template;
  /** For data other than running text. */
  readonly counts?: ExampleCounts;
  /** For prompts and chats: the tokens with which the sample of a step begins. */
  readonly promptOf?: (step: number) => readonly number[];
  close(): void;
}

export interface OpenExamplesOptions {
  /** Sequences in a pass. */
  readonly B: number;
  /** Tokens in a sequence. */
  readonly T: number;
  readonly seed: number;
  /** The model's. */
  readonly vocabSize: number;
  /** Whether held-out examples are opened as well. */
  readonly withVal: boolean;
  /** Running text: a token sees its own document only. Other examples always see themselves alone. */
  readonly isolate: boolean;
  /** Shards that don't say: the token that begins each document. */
  readonly endOfText: number;
  /** Labels: the token of a text that the head for a task reads. */
  readonly labelAt: "first" | "last";
}

/** Random streams of the orders. */
const LABELS = { text: 0x64617461, examples: 0x6578616d, labels: 0x6c61626c } as const;

/** @throws {DataError} missing or damaged data, too little of it, or a vocabulary that is not the model's. */
export function openExamples(path: string, options: OpenExamplesOptions): ExampleSource {
  const labelled = isFolder(path) ? readLabelledInfo(path) : undefined;
  if (labelled) return openLabels(path, labelled, options);
  const info = isFolder(path) ? readExamplesInfo(path) : undefined;
  return info ? openMasked(path, info, options) : openText(path, options);
}

function openText(path: string, options: OpenExamplesOptions): ExampleSource {
  const { B, T, seed, vocabSize, withVal, isolate } = options;
  const info = isFolder(path) ? readDatasetInfo(path) : undefined;
  if (info) checkVocabulary(path, info, vocabSize);
  const documentStart = isolate ? (info?.tokenizer.endOfText ?? options.endOfText) : undefined;
  const data = openDataset(path, { split: "train", vocabSize });
  const opened = [data];
  const openVal = (): ValidationSplit | undefined => {
    if (!withVal || !isFolder(path) || findShards(path, "val").length === 0) return undefined;
    const val = openDataset(path, { split: "val", vocabSize });
    opened.push(val);
    return heldOutText(val, options, documentStart, info?.splits.val?.bytes);
  };
  try {
    const order = new ShuffledWindows(new EpochOrder(data.totalTokens, T, deriveKey(seed, LABELS.text)), B);
    return {
      path,
      vocabSize: info?.tokenizer.vocabSize,
      train: { examples: new TextExamples(data, T, T, documentStart), order, tokens: data.totalTokens },
      val: openVal(),
      tokenizer: tokenizerOf(path),
      close: () => {
        for (const one of opened) one.close();
      },
    };
  } catch (error) {
    for (const one of opened) one.close();
    throw error;
  }
}

/** Undefined where no token stands before another. Text shorter than a sequence is one short window. */
function heldOutText(
  val: TokenDataset,
  { B, T }: OpenExamplesOptions,
  documentStart: number | undefined,
  bytes = 0,
): ValidationSplit | undefined {
  const { totalTokens } = val;
  if (totalTokens < 2) return undefined;
  const length = Math.min(T, totalTokens - 1);
  const count = val.windows(length);
  return {
    examples: new TextExamples(val, T, length, documentStart),
    order: new PlainWindows(count, length, B),
    tokens: count * length,
    ...(bytes > 0 && { bitsPerByte: totalTokens / bytes / Math.LN2 }),
  };
}

function openMasked(path: string, info: ExamplesInfo, options: OpenExamplesOptions): ExampleSource {
  const { T, vocabSize, withVal } = options;
  checkVocabulary(path, info, vocabSize);
  const open = (split: "train" | "val"): ExampleSet =>
    new ExampleSet(readExamples(path, split), T, vocabSize, join(path, `${split}.safetensors`));
  const train = open("train");
  const val = info.splits.val && withVal ? open("val") : undefined;
  const tokenizer = tokenizerOf(path);
  const bytes = val && tokenizer !== undefined ? learnedBytes(val, tokenizer, path) : 0;
  const prompts = val ?? train;
  return {
    path,
    vocabSize: info.tokenizer.vocabSize,
    template: info.template,
    tokenizer,
    train: { examples: train, order: packed(train, options, LABELS.examples), tokens: info.splits.train.tokens },
    ...(val && {
      val: {
        examples: val,
        order: packed(val, options),
        tokens: val.targets,
        ...(bytes > 0 && { bitsPerByte: val.targets / bytes / Math.LN2 }),
      },
    }),
    counts: { train: train.count, val: val?.count ?? 0, cut: train.cut + (val?.cut ?? 0), hash: train.hash },
    promptOf: (step) => prompts.prompt(step % prompts.count),
    close: () => {},
  };
}

function openLabels(path: string, info: LabelledInfo, options: OpenExamplesOptions): ExampleSource {
  const { vocabSize, withVal } = options;
  checkVocabulary(path, info, vocabSize);
  const open = (split: "train" | "val"): LabelExamples =>
    new LabelExamples(readLabelled(path, split, info), info.kind, options, join(path, `${split}.safetensors`));
  const train = open("train");
  const val = info.splits.val && withVal ? open("val") : undefined;
  return {
    path,
    vocabSize: info.tokenizer.vocabSize,
    tokenizer: tokenizerOf(path),
    train: { examples: train, order: packed(train, options, LABELS.labels), tokens: info.splits.train.tokens },
    ...(val && { val: { examples: val, order: packed(val, options), tokens: info.splits.val!.tokens } }),
    counts: { train: train.count, val: val?.count ?? 0, cut: train.cut + (val?.cut ?? 0), hash: train.hash },
    close: () => {},
  };
}

/** @param label random stream of the order; without one the examples come as they are, once */
function packed(
  examples: Examples & { readonly count: number },
  { B, T, seed }: OpenExamplesOptions,
  label?: number,
): Packing {
  const lengths = Array.from({ length: examples.count }, (_, i) => examples.length(i));
  return new Packing(lengths, B * T, label === undefined ? undefined : deriveKey(seed, label));
}

function tokenizerOf(path: string): string | undefined {
  const file = join(path, DATASET_TOKENIZER_FILE);
  return isFolder(path) && existsSync(file) ? readSmallText(file, { expected: "a tokenizer" }) : undefined;
}

function checkVocabulary(
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

/** UTF-8 bytes of the targets that count; `<|endoftext|>` is no text. */
function learnedBytes(set: ExampleSet, json: string, path: string): number {
  const tokenizer = new Tokenizer(readTokenizerJson(json, path));
  const lengths = new Map<number, number>();
  let bytes = 0;
  for (const id of set.learned()) {
    if (id === tokenizer.endOfText) continue;
    let length = lengths.get(id);
    if (length === undefined) lengths.set(id, (length = tokenizer.decodeBytes([id]).length));
    bytes += length;
  }
  return bytes;
}
