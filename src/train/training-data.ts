import type { BertConfig } from "../architectures/bert/config.js";
import type { ModelConfig } from "../architectures/config.js";
import { architectureOf } from "../architectures/registry.js";
import type { TaskHead } from "../architectures/task-head.js";
import { objectiveOf } from "../architectures/training.js";
import { fillPass } from "../data/examples/examples.js";
import { readLabelledInfo } from "../data/examples/labelled-folder.js";
import { type ExampleCounts, type ExampleSource, openExamples } from "../data/examples/open-examples.js";
import type { Template } from "../data/examples/template.js";
import { isFolder } from "../util/is-folder.js";
import type { FillBatch } from "./host-batch.js";
import { encoderTokenizer, exampleMarks, MaskedData } from "./masked-data.js";
import { accumulation, type TrainSettings } from "./settings.js";

/** The default `<|endoftext|>`: the last token of a GPT-2 vocabulary. Larger vocabularies are taken as GPT-2's, padded. */
export const defaultEndOfText = (vocabSize: number): number => Math.min(vocabSize - 1, 50256);

/** The data of a run: training batches in order, and held-out data. */
export class TrainingData {
  readonly #source: ExampleSource;
  readonly #settings: TrainSettings;
  /** For models that learn masked tokens. */
  readonly #masked: MaskedData | undefined;

  private constructor(source: ExampleSource, settings: TrainSettings, masked: MaskedData | undefined) {
    this.#source = source;
    this.#settings = settings;
    this.#masked = masked;
  }

  /** @throws {DataError} the data is missing, damaged or too little, or its vocabulary is not the model's. */
  static open(path: string, config: ModelConfig, settings: TrainSettings): TrainingData {
    const { vocabSize } = config;
    const { batchSize, seqLength, seed, valEvery, isolate } = settings;
    const labelled = isFolder(path) && readLabelledInfo(path) !== undefined;
    const masks = objectiveOf(config) !== undefined && !labelled;
    const source = openExamples(path, {
      B: batchSize,
      T: masks ? seqLength - exampleMarks(config as BertConfig) : seqLength,
      seed,
      vocabSize,
      withVal: valEvery > 0,
      isolate: isolate === 1,
      endOfText: defaultEndOfText(vocabSize),
      labelAt: architectureOf(config).pooling.task,
    });
    try {
      if (!masks) return new TrainingData(source, settings, undefined);
      const { tokenizer } = source;
      const masked = new MaskedData({ config: config as BertConfig, settings, tokenizer, path });
      return new TrainingData(source, settings, masked);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The folder or shards. */
  get path(): string {
    return this.#source.path;
  }

  /** Number of ids of its tokenizer, if the data set says so. */
  get vocabSize(): number | undefined {
    return this.#source.vocabSize;
  }

  /** Training tokens. */
  get tokens(): number {
    return this.#source.train.tokens;
  }

  /** Number of tokens that a whole validation scores; undefined without held-out data or validations. */
  get valTokens(): number | undefined {
    return this.#source.val?.tokens;
  }

  /** Bits per byte for one nat per token, on the held-out text, if the data set knows its size. */
  get bitsPerByte(): number | undefined {
    // Masked text has no size of its own.
    return this.#masked ? undefined : this.#source.val?.bitsPerByte;
  }

  /** Text of the tokenizer.json for models made from this data. */
  get tokenizer(): string | undefined {
    const { tokenizer, path } = this.#source;
    return this.#masked && tokenizer !== undefined ? encoderTokenizer(tokenizer, path) : tokenizer;
  }

  /** The template of the examples, which is saved with the finished model. */
  get template(): Template | undefined {
    return this.#source.template;
  }

  /** For prompts, chats and labels: the number of examples, and how many were truncated to the length of a sequence. */
  get examples(): ExampleCounts | undefined {
    return this.#source.counts;
  }

  /** For prompts and chats: the prompt of a step's sample. */
  get promptOf(): ((step: number) => readonly number[]) | undefined {
    return this.#source.promptOf;
  }

  get fillTraining(): FillBatch {
    const { examples, order } = this.#source.train;
    const fill: FillBatch = (pass, batch) => fillPass(examples, order, pass, batch);
    return this.#masked?.filler(fill, this.#settings.staticMasks) ?? fill;
  }

  /** Masks of validations, the same in each. */
  get fillValidation(): FillBatch {
    const { examples, order } = this.#source.val!;
    const fill: FillBatch = (pass, batch) => fillPass(examples, order, pass, batch);
    return this.#masked?.filler(fill, 1) ?? fill;
  }

  /** Number of passes of a validation; 0 without held-out data. */
  get validationPasses(): number {
    const { valBatches } = this.#settings;
    const all = this.#source.val?.order.passes ?? 0;
    return valBatches > 0 ? Math.min(valBatches, all) : all;
  }

  /** Number of epochs of a run of so many steps. */
  epochs(steps: number): number {
    return this.#source.train.order.epochsAfter(steps * accumulation(this.#settings));
  }

  /** Number of steps of so many epochs. */
  stepsFor(epochs: number): number {
    return this.#source.train.order.stepsFor(epochs, accumulation(this.#settings));
  }

  close(): void {
    this.#source.close();
  }
}

/** The task head for this data; undefined if it has no labels. */
export function headFor(path: string): TaskHead | undefined {
  const info = isFolder(path) ? readLabelledInfo(path) : undefined;
  return info && { kind: info.kind, labels: info.labels };
}
