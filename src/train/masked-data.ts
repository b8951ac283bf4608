import type { BertConfig } from "../architectures/bert/config.js";
import { maskTokens } from "../data/masking.js";
import { DataError, UsageError } from "../errors.js";
import { encoderTokenId, withEncoderTokens } from "../tokenizer/encoder-tokens.js";
import { readTokenizerJson, writeTokenizerJson } from "../tokenizer/tokenizer-json.js";
import type { Vocabulary } from "../tokenizer/vocabulary.js";
import { deriveKey, RandomStream } from "../util/random.js";
import { type FillBatch, type HostBatch, hostBatch } from "./host-batch.js";
import type { TrainSettings } from "./settings.js";

/**
 * Running text as examples for BERT, with masked tokens: `[CLS] A [SEP]`, or for a model that learns next sentences
 * `[CLS] A [SEP] B [SEP]`, where B follows A in the text or, half of the time, comes from elsewhere.
 */

const LABELS = { order: 0x6e657874, mask: 0x6d61736b, copy: 0x636f7079 } as const;

/** Number of special tokens in an example. */
export const exampleMarks = ({ nextSentence }: BertConfig): number => (nextSentence ? 3 : 2);

/** The tokenizer of a model trained on data that was made with `text`. */
export function encoderTokenizer(json: string, name: string): string {
  return writeTokenizerJson(withEncoderTokens(readTokenizerJson(json, name)));
}

export interface MaskedDataOptions {
  readonly config: BertConfig;
  readonly settings: TrainSettings;
  /** Text of the data's tokenizer.json. */
  readonly tokenizer: string | undefined;
  readonly path: string;
}

/** Turns batches of running text into masked batches. */
export class MaskedData {
  readonly #config: BertConfig;
  readonly #settings: TrainSettings;
  readonly #text: HostBatch;
  readonly #vocabulary: Vocabulary;
  readonly #ids: { readonly cls: number; readonly sep: number; readonly mask: number };

  /**
   * @throws {DataError} there is no tokenizer beside the data; {@link UsageError} passes have a single sequence, so there is no
   *   other to take a second text from, or sequences are too short.
   */
  constructor({ config, settings, tokenizer, path }: MaskedDataOptions) {
    if (tokenizer === undefined) {
      const hint = "Make the data with gpt2 data, which writes it";
      throw new DataError({
        op: `training on ${path}`,
        expected: "a tokenizer.json beside the data",
        got: "none",
        hint,
      });
    }
    const { batchSize, seqLength } = settings;
    if (config.nextSentence && batchSize < 2) {
      const op = "training with next sentences: batchSize";
      throw new UsageError({ op, expected: "at least 2", got: String(batchSize) });
    }
    this.#config = config;
    this.#settings = settings;
    this.#text = hostBatch(batchSize * this.textLength);
    this.#vocabulary = withEncoderTokens(readTokenizerJson(tokenizer, path));
    const id = (text: "[CLS]" | "[SEP]" | "[MASK]"): number => encoderTokenId(this.#vocabulary, text);
    this.#ids = { cls: id("[CLS]"), sep: id("[SEP]"), mask: id("[MASK]") };
    if (seqLength < 16)
      throw new UsageError({ op: "training: seqLength", expected: "at least 16", got: String(seqLength) });
  }

  /** Number of tokens of running text in a sequence. */
  get textLength(): number {
    return this.#settings.seqLength - exampleMarks(this.#config);
  }

  /**
   * @param text fills batches of running text, with `textLength` tokens per sequence
   * @param copies number of ways to mask each text; 0: a new way each time
   */
  filler(text: FillBatch, copies: number): FillBatch {
    return (pass, batch) => {
      const { batchSize: B, seed } = this.#settings;
      this.#text.targets.fill(-1);
      text(pass, this.#text);
      let counted = 0;
      const filled = Array.from({ length: B }, (_, b) => b).filter(
        (b) => this.#text.targets[b * this.textLength]! >= 0,
      );
      for (let b = 0; b < B; b++) {
        if (!filled.includes(b)) this.#leaveEmpty(batch, b);
        else counted += this.#example(batch, b, filled, this.#random(pass, b, copies, seed));
      }
      return counted;
    };
  }

  /** The random numbers of an example, by its pass or by its text. */
  #random(pass: number, b: number, copies: number, seed: number): RandomStream {
    if (copies === 0) return new RandomStream(deriveKey(seed, LABELS.order, pass, b), LABELS.mask);
    const T = this.textLength;
    const text = deriveKey(seed, ...this.#text.tokens.subarray(b * T, (b + 1) * T));
    const copy = new RandomStream(deriveKey(seed, LABELS.copy, pass, b)).below(copies);
    return new RandomStream(deriveKey(text, copy), LABELS.mask);
  }

  /** Each token sees only itself, and has no target. */
  #leaveEmpty({ tokens, first }: HostBatch, b: number): void {
    const T = this.#settings.seqLength;
    for (let n = b * T; n < (b + 1) * T; n++) [tokens[n], first[n]] = [0, n];
  }

  #example(batch: HostBatch, b: number, filled: readonly number[], random: RandomStream): number {
    const { seqLength: T } = this.#settings;
    const [W, start] = [this.textLength, b * T];
    const own = this.#text.tokens.subarray(b * W, (b + 1) * W);
    const { cls, sep } = this.#ids;
    batch.tokens[start] = cls;
    batch.tokens.set(own, start + 1);
    const places = Array.from({ length: W }, (_, i) => start + 1 + i);
    if (this.#config.nextSentence) {
      const cut = this.#cut(own, random);
      const others = filled.filter((other) => other !== b);
      const other = random.uniform() < 0.5 ? others[random.below(others.length)] : undefined;
      const next = other === undefined ? own : this.#text.tokens.subarray(other * W, (other + 1) * W);
      batch.tokens[start + 1 + cut] = sep;
      batch.tokens.set(next.subarray(cut), start + 2 + cut);
      batch.tokenTypes.fill(1, start + 2 + cut, start + T);
      batch.next[start] = other === undefined ? 0 : 1;
      for (let i = cut; i < W; i++) places[i]!++;
    }
    batch.tokens[start + T - 1] = sep;
    return this.#mask(batch, places, random);
  }

  #mask({ tokens, targets }: HostBatch, places: readonly number[], random: RandomStream): number {
    const { maskShare: share, wholeWords } = this.#settings;
    const vocabSize = this.#vocabulary.size;
    const beginsWord = wholeWords === 1 ? this.#beginsWord : undefined;
    return maskTokens(tokens, targets, places, random, { share, maskId: this.#ids.mask, vocabSize, beginsWord });
  }

  /** The end of A: after the end of a sentence, if there is one in the middle half. */
  #cut(text: Int32Array, random: RandomStream): number {
    const [from, to] = [Math.floor(text.length / 4), Math.ceil((3 * text.length) / 4)];
    const ends: number[] = [];
    for (let n = from; n < to; n++) if (SENTENCE_ENDS.has(this.#lastByte(text[n]!))) ends.push(n + 1);
    return ends.length > 0 ? ends[random.below(ends.length)]! : from + random.below(to - from);
  }

  readonly #beginsWord = (token: number, before: number): boolean =>
    !(isWordByte(this.#firstByte(token)) && isWordByte(this.#lastByte(before)));

  #firstByte(token: number): number {
    const { bytes, offsets } = this.#vocabulary;
    return offsets[token]! < offsets[token + 1]! ? bytes[offsets[token]!]! : 0;
  }

  #lastByte(token: number): number {
    const { bytes, offsets } = this.#vocabulary;
    return offsets[token]! < offsets[token + 1]! ? bytes[offsets[token + 1]! - 1]! : 0;
  }
}

const codes = (text: string): Set<number> => new Set(Array.from(text, (c) => c.charCodeAt(0)));
const SENTENCE_ENDS = codes(".?!\n");

/** Letters, digits, and bytes of characters beyond ASCII. */
const isWordByte = (byte: number): boolean =>
  byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
