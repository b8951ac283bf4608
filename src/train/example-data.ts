import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { EXAMPLES_TOKENIZER_FILE, type ExamplesInfo, readExamples } from "../data/examples/example-folder.js";
import { ExampleSet } from "../data/examples/example-set.js";
import { Packing } from "../data/examples/packing.js";
import type { Template } from "../data/examples/template.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { deriveKey } from "../util/random.js";
import type { FillBatch, HostBatch } from "./host-batch.js";
import { checkVocabulary, type ExampleCounts, type TrainingData } from "./run-data.js";
import { accumulation, type TrainSettings } from "./settings.js";

/** The order's random stream. */
const ORDER_LABEL = 0x6578616d;

/**
 * Examples of prompts and chats: packed one after another into passes of B · T places, each seeing itself alone, with a loss
 * for what is learned of each.
 */
export class ExampleData implements TrainingData {
  readonly path: string;
  readonly vocabSize: number;
  /** Those that are read among them. */
  readonly tokens: number;
  /** That are learned. */
  readonly valTokens: number | undefined;
  readonly bitsPerByte: number | undefined;
  readonly tokenizer: string | undefined;
  readonly template: Template;
  readonly examples: ExampleCounts;
  readonly #settings: TrainSettings;
  readonly #train: ExampleSet;
  readonly #val: ExampleSet | undefined;
  readonly #order: Packing;
  readonly #valOrder: Packing | undefined;

  /** @throws {DataError} damaged data, or a vocabulary that is not the model's. */
  constructor(path: string, info: ExamplesInfo, { vocabSize }: ModelConfig, settings: TrainSettings) {
    checkVocabulary(path, info, vocabSize);
    const { seqLength: T, batchSize: B, seed, valEvery } = settings;
    const open = (split: "train" | "val"): ExampleSet =>
      new ExampleSet(readExamples(path, split), T, vocabSize, join(path, `${split}.safetensors`));
    const pack = (set: ExampleSet, seed?: number): Packing =>
      new Packing(
        set.examples.map((_, i) => set.length(i)),
        B * T,
        seed,
      );
    this.path = path;
    this.vocabSize = info.tokenizer.vocabSize;
    this.#settings = settings;
    this.tokens = info.splits.train.tokens;
    this.template = info.template;
    const tokenizer = join(path, EXAMPLES_TOKENIZER_FILE);
    this.tokenizer = existsSync(tokenizer) ? readFileSync(tokenizer, "utf8") : undefined;
    this.#train = open("train");
    this.#order = pack(this.#train, deriveKey(seed, ORDER_LABEL));
    const val = info.splits.val && valEvery > 0 ? open("val") : undefined;
    this.examples = {
      train: this.#train.examples.length,
      val: val?.examples.length ?? 0,
      cut: this.#train.cut + (val?.cut ?? 0),
      hash: this.#train.hash,
    };
    if (!val) return;
    this.#val = val;
    this.#valOrder = pack(val);
    this.valTokens = val.targets;
    const bytes = this.tokenizer === undefined ? 0 : learnedBytes(val, this.tokenizer, path);
    if (bytes > 0) this.bitsPerByte = val.targets / bytes / Math.LN2;
  }

  /** Of the held-out examples in turn. */
  readonly promptOf = (step: number): readonly number[] => {
    const set = this.#val ?? this.#train;
    return set.prompt(step % set.examples.length);
  };

  readonly fillTraining: FillBatch = (pass, batch) => fill(this.#train, this.#order, pass, batch);

  readonly fillValidation: FillBatch = (pass, batch) => fill(this.#val!, this.#valOrder!, pass, batch);

  get validationPasses(): number {
    const { valBatches } = this.#settings;
    const all = this.#valOrder?.passesFor(1) ?? 0;
    return valBatches > 0 ? Math.min(valBatches, all) : all;
  }

  epochs(steps: number): number {
    return this.#order.epochsAfter(steps * accumulation(this.#settings));
  }

  stepsFor(epochs: number): number {
    return Math.max(1, Math.ceil(this.#order.passesFor(epochs) / accumulation(this.#settings)));
  }

  close(): void {}
}

function fill(set: ExampleSet, order: Packing, pass: number, batch: HostBatch): number {
  let [end, learned] = [0, 0];
  for (const { example, at } of order.pass(pass)) {
    learned += set.write(example, at, batch);
    end = at + set.length(example);
  }
  // Places that stay empty: tokens alone, which nobody sees and of which nothing counts.
  for (let n = end; n < batch.tokens.length; n++) {
    batch.positions[n] = 0;
    batch.first[n] = n;
  }
  return learned;
}

/** UTF-8 bytes of what is learned; `<|endoftext|>` is no text. */
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
