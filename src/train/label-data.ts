import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { architectureOf } from "../architectures/registry.js";
import type { TaskHead } from "../architectures/task-head.js";
import { Packing } from "../data/examples/packing.js";
import {
  LABELLED_TOKENIZER_FILE,
  type LabelledInfo,
  type LabelledTexts,
  readLabelled,
  readLabelledInfo,
} from "../data/labelled/labelled-folder.js";
import { DataError } from "../errors.js";
import { deriveKey } from "../util/random.js";
import type { FillBatch } from "./host-batch.js";
import { checkVocabulary, type ExampleCounts, isFolder, type TrainingData } from "./run-data.js";
import { accumulation, type TrainSettings } from "./settings.js";

/** The order's random stream. */
const ORDER_LABEL = 0x6c61626c;

/** The head that is trained on this data; undefined if it has no labels. */
export function headFor(path: string): TaskHead | undefined {
  const info = isFolder(path) ? readLabelledInfo(path) : undefined;
  return info && { kind: info.kind, labels: info.labels };
}

interface Split {
  readonly texts: LabelledTexts;
  readonly order: Packing;
  /** Texts that are longer than a sequence. */
  readonly cut: number;
}

/**
 * Texts with labels, packed one after another into passes of B · T places, each seeing itself alone; what is learned is the
 * label, from the last token. Of a text longer than T the beginning is read.
 */
export class LabelData implements TrainingData {
  readonly path: string;
  readonly vocabSize: number;
  readonly tokens: number;
  readonly valTokens: number | undefined;
  readonly bitsPerByte = undefined;
  readonly tokenizer: string | undefined;
  readonly examples: ExampleCounts;
  readonly #kind: LabelledInfo["kind"];
  /** The token of a text that the head reads. */
  readonly #reads: "first" | "last";
  readonly #settings: TrainSettings;
  readonly #train: Split;
  readonly #val: Split | undefined;

  /** @throws {DataError} damaged data, or a vocabulary that is not the model's. */
  constructor(path: string, info: LabelledInfo, config: ModelConfig, settings: TrainSettings) {
    const { vocabSize } = config;
    checkVocabulary(path, info, vocabSize);
    this.#reads = architectureOf(config).pooling.task;
    this.path = path;
    this.vocabSize = info.tokenizer.vocabSize;
    this.tokens = info.splits.train.tokens;
    const tokenizer = join(path, LABELLED_TOKENIZER_FILE);
    this.tokenizer = existsSync(tokenizer) ? readFileSync(tokenizer, "utf8") : undefined;
    this.#kind = info.kind;
    this.#settings = settings;
    const { seqLength: T, batchSize: B, seed, valEvery } = settings;
    const open = (split: "train" | "val", seed?: number): Split => {
      const texts = readLabelled(path, split, info);
      checkIds(texts, vocabSize, join(path, `${split}.safetensors`));
      const whole = Array.from(texts.targets, (_, i) => texts.starts[i + 1]! - texts.starts[i]!);
      const lengths = whole.map((length) => Math.min(length, T));
      return { texts, order: new Packing(lengths, B * T, seed), cut: whole.filter((n) => n > T).length };
    };
    this.#train = open("train", deriveKey(seed, ORDER_LABEL));
    this.#val = info.splits.val && valEvery > 0 ? open("val") : undefined;
    this.valTokens = this.#val && info.splits.val!.tokens;
    this.examples = {
      train: this.#train.texts.targets.length,
      val: this.#val?.texts.targets.length ?? 0,
      cut: this.#train.cut + (this.#val?.cut ?? 0),
      hash: hashOf(this.#train.texts),
    };
  }

  readonly fillTraining: FillBatch = (pass, batch) => this.#fill(this.#train, pass, batch);

  readonly fillValidation: FillBatch = (pass, batch) => this.#fill(this.#val!, pass, batch);

  #fill({ texts, order }: Split, pass: number, batch: Parameters<FillBatch>[1]): number {
    const { seqLength: T } = this.#settings;
    const { tokens, starts, targets } = texts;
    const places = order.pass(pass);
    let end = 0;
    for (const { example, at } of places) {
      const start = starts[example]!;
      const length = Math.min(T, starts[example + 1]! - start);
      for (let n = 0; n < length; n++) {
        batch.tokens[at + n] = tokens[start + n]!;
        batch.positions[at + n] = n;
        batch.first[at + n] = at;
      }
      end = at + length;
      const read = this.#reads === "first" ? at : end - 1;
      batch.targets[read] = this.#kind === "regression" ? 0 : targets[example]!;
      batch.values[read] = targets[example]!;
    }
    // Places that stay empty: tokens alone, which nobody sees and of which nothing counts.
    for (let n = end; n < batch.tokens.length; n++) {
      batch.positions[n] = 0;
      batch.first[n] = n;
    }
    return places.length;
  }

  get validationPasses(): number {
    const { valBatches } = this.#settings;
    const all = this.#val?.order.passesFor(1) ?? 0;
    return valBatches > 0 ? Math.min(valBatches, all) : all;
  }

  epochs(steps: number): number {
    return this.#train.order.epochsAfter(steps * accumulation(this.#settings));
  }

  stepsFor(epochs: number): number {
    return Math.max(1, Math.ceil(this.#train.order.passesFor(epochs) / accumulation(this.#settings)));
  }

  close(): void {}
}

function checkIds({ tokens }: LabelledTexts, vocabSize: number, path: string): void {
  const bad = tokens.findIndex((id) => id >= vocabSize);
  if (bad === -1) return;
  const expected = `ids below ${vocabSize}, the model's vocabulary`;
  throw new DataError({ op: `reading ${path}: token ${bad}`, expected, got: `${tokens[bad]}` });
}

function hashOf(texts: LabelledTexts): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of [texts.tokens, texts.starts, texts.targets]) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex").slice(0, 16);
}
