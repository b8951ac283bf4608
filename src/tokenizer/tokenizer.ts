import { TokenizerError } from "../errors.js";
import { checkOptionNames, type OptionNames } from "../util/nearest.js";
import { AddedTokenSplitter } from "./added-tokens.js";
import { asciiWordEnd } from "./ascii-words.js";
import { LongWordEncoder } from "./long-word.js";
import { WordMerger } from "./merge-word.js";
import { PretokenReader } from "./pretoken-reader.js";
import { pretokenEnd, pretokenRest } from "./pretokenize.js";
import { TextStream } from "./text-stream.js";
import { StreamDecoder, TokenBytes } from "./token-bytes.js";
import { endOfTextOf, MOST_IDS, type Vocabulary } from "./vocabulary.js";
import { WordCache } from "./word-cache.js";

export interface EncodeOptions {
  /**
   * Special tokens to recognize in the text: all of them, or these. None by default: `<|endoftext|>` in a text from
   * outside is then just thirteen characters.
   */
  readonly allowedSpecial?: "all" | readonly string[];
  /**
   * Whether to add the tokens that the tokenizer's files put around a text (GPT-2's put none); true by default,
   * as in transformers. False for a part of a text.
   */
  readonly addSpecialTokens?: boolean;
  /** Whether this continues another text, and so gets no prefix space; false by default. */
  readonly continues?: boolean;
}

const NO_OPTIONS: EncodeOptions = {};
const ENCODE_OPTIONS: OptionNames<EncodeOptions> = { allowedSpecial: true, addSpecialTokens: true, continues: true };

export interface TokenizerOptions {
  /** The size of the model's vocabulary, if it is larger: its ids without a token decode to nothing. */
  readonly modelVocabSize?: number;
}

/**
 * A byte-level BPE tokenizer: GPT-2's, or any other of its kind. In its naive form (test/tokenizer/naive-bpe.ts, the
 * oracle for this one):
 *
 *     for (const word of pretokenize(text)) {
 *       const symbols = Array.from(utf8(word), (byte) => byteIds[byte]);
 *       for (;;) {
 *         const ranks = symbols.slice(1).map((right, i) => rank(symbols[i], right)); // Infinity if the pair does not merge
 *         const least = Math.min(...ranks);
 *         if (least === Infinity) break;
 *         symbols.splice(ranks.indexOf(least), 2, results[least]);
 *       }
 *       ids.push(...symbols);
 *     }
 *
 * Four things make this one fast. Text passes through a small window of UTF-8 in which words are found without a regular
 * expression (pretoken-reader.ts, pretokenize.ts, ascii-words.ts). Most words have been met before, and their ids are in a
 * cache (word-cache.ts). The others are merged in flat arrays, long ones with a heap (merge-word.ts). Words above 2 KiB are
 * merged in pieces, so that time stays linear (long-word.ts).
 */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly #modelVocabSize: number;
  /** Whether any added token is found in every text. */
  readonly #alwaysSplits: boolean;
  #mergerIfMade: WordMerger | undefined;
  #cacheIfMade: WordCache | undefined;
  #tokensIfMade: TokenBytes | undefined;
  #longWordsIfMade: LongWordEncoder | undefined;
  readonly #reader = new PretokenReader();
  /** Splitters, by the special tokens allowed. */
  readonly #splitters = new Map<string, AddedTokenSplitter>();
  /** Ids of the text being encoded. */
  #out = new Uint32Array(1 << 12);
  #count = 0;
  /** Whether the next stretch of text continues another. */
  #continues = false;
  /** Index in #out of the first id of a very long word whose end has not been read; -1 otherwise. */
  #longStart = -1;

  /** @throws {TokenizerError} more tokens than the tables hold, about a million. */
  constructor(vocabulary: Vocabulary, { modelVocabSize = 0 }: TokenizerOptions = {}) {
    if (vocabulary.size > MOST_IDS) {
      const got = vocabulary.size.toLocaleString("en");
      throw new TokenizerError({ op: "making a tokenizer", expected: `at most ${MOST_IDS} tokens`, got });
    }
    this.vocabulary = vocabulary;
    this.#modelVocabSize = modelVocabSize;
    this.#alwaysSplits = vocabulary.added.some(({ special }) => !special);
  }

  /** Built when first needed: decoding does not need it. */
  get #merger(): WordMerger {
    this.#mergerIfMade ??= new WordMerger(this.vocabulary);
    return this.#mergerIfMade;
  }

  get #cache(): WordCache {
    this.#cacheIfMade ??= new WordCache();
    return this.#cacheIfMade;
  }

  /** Built when first needed: encoding does not need it. */
  get #tokens(): TokenBytes {
    this.#tokensIfMade ??= new TokenBytes(this.vocabulary, this.#modelVocabSize);
    return this.#tokensIfMade;
  }

  get #longWords(): LongWordEncoder {
    this.#longWordsIfMade ??= new LongWordEncoder(this.#merger, this.#tokens, this.vocabulary);
    return this.#longWordsIfMade;
  }

  /** Number of ids: every id is below it. */
  get vocabSize(): number {
    return this.vocabulary.size;
  }

  /** Id of the token that ends a text: the one named in the files, else `<|endoftext|>` or `</s>`, else undefined. */
  get endOfText(): number | undefined {
    return endOfTextOf(this.vocabulary);
  }

  /** Id of the token that starts a text: the one named in the files, else {@link endOfText}, as in GPT-2. */
  get startOfText(): number | undefined {
    return this.vocabulary.startOfText ?? this.endOfText;
  }

  /** Special tokens and their ids. */
  get specialTokens(): ReadonlyMap<string, number> {
    return new Map(this.vocabulary.added.filter(({ special }) => special).map(({ text, id }) => [text, id]));
  }

  /**
   * Ids of a text. Lone surrogates count as U+FFFD.
   *
   * @throws {UsageError} `allowedSpecial` names a token that is not special here.
   */
  encode(text: string, options: EncodeOptions = NO_OPTIONS): Uint32Array {
    if (options !== NO_OPTIONS) checkOptionNames("encoding", options, ENCODE_OPTIONS);
    const splitter = this.#splitterFor(options);
    this.#count = 0;
    this.#continues = options.continues === true;
    if (options.addSpecialTokens !== false) this.#append(this.vocabulary.template?.before);
    if (splitter === undefined) this.#encodeText(text);
    else
      splitter.split(
        text,
        (plain) => this.#encodeText(plain),
        (id) => {
          this.#continues = false;
          this.#append([id]);
        },
      );
    if (options.addSpecialTokens !== false) this.#append(this.vocabulary.template?.after);
    return this.#result();
  }

  /**
   * Ids of a text given as UTF-8. Bytes that are not UTF-8 keep their values if the text is not split: without added
   * tokens to find, and without `addPrefixSpace`; otherwise they count as U+FFFD.
   *
   * @throws {UsageError} `allowedSpecial` names a token that is not special here.
   */
  encodeBytes(utf8: Uint8Array, options: EncodeOptions = {}): Uint32Array {
    const { addPrefixSpace, template } = this.vocabulary;
    if (addPrefixSpace || template || this.#splitterFor(options)) return this.encode(decoder.decode(utf8), options);
    this.#count = 0;
    this.#reader.openBytes(utf8);
    this.#encodeWords();
    return this.#result();
  }

  #encodeText(text: string): void {
    const prefixed = this.vocabulary.addPrefixSpace && !this.#continues && text !== "" && !text.startsWith(" ");
    this.#continues = false;
    this.#reader.openText(prefixed ? ` ${text}` : text);
    this.#encodeWords();
  }

  /** Finds the added tokens to search for; undefined if there are none, as in GPT-2 unless special ones are allowed. */
  #splitterFor({ allowedSpecial }: EncodeOptions): AddedTokenSplitter | undefined {
    const none = allowedSpecial === undefined || allowedSpecial.length === 0;
    if (none && !this.#alwaysSplits) return undefined;
    const key = none ? "" : allowedSpecial === "all" ? "all" : JSON.stringify(allowedSpecial);
    let splitter = this.#splitters.get(key);
    if (splitter === undefined) {
      splitter = new AddedTokenSplitter(this.vocabulary.added, allowedSpecial ?? []);
      if (this.#splitters.size >= 16) this.#splitters.clear();
      this.#splitters.set(key, splitter);
    }
    return splitter;
  }

  #append(ids: readonly number[] = []): void {
    this.#reserve(ids.length);
    for (const id of ids) this.#out[this.#count++] = id;
  }

  /** Encodes the text that the reader was opened on. */
  #encodeWords(): void {
    this.#longStart = -1;
    while (this.#reader.fill()) {
      // A token is at least one byte.
      this.#reserve(this.#reader.limit);
      if (this.#longStart < 0) this.#encodeWindow();
      while (this.#encodeLongWord()) this.#encodeWindow();
    }
  }

  /** Encodes words of the window up to one that is very long, or whose end has not been read. */
  #encodeWindow(): void {
    const { bytes, view, limit, sure } = this.#reader;
    const cache = this.#cache;
    const merger = this.#merger;
    const out = this.#out;
    let count = this.#count;
    let position = this.#reader.position;
    while (position < limit) {
      let end = asciiWordEnd(bytes, view, position, limit);
      if (end < 0) end = pretokenEnd(bytes, position, limit);
      if (end > sure || end - position > LONG_WORD) break;
      let n = cache.copy(view, position, end, out, count);
      if (n < 0) {
        n = merger.merge(bytes, position, end, out, count);
        cache.add(view, position, end, out, count, n);
      }
      count += n;
      position = end;
    }
    this.#count = count;
    this.#reader.position = position;
  }

  /** Encodes the next word, or the part of a very long one that is in the window; true if the word's end was reached. */
  #encodeLongWord(): boolean {
    const { bytes, limit, sure } = this.#reader;
    let { position } = this.#reader;
    if (position === limit) return false;
    const end = this.#longStart < 0 ? pretokenEnd(bytes, position, limit) : pretokenRest(bytes, position, limit);
    const whole = end <= sure;
    const stop = whole ? end : sure - HELD_BACK;
    const encoder = this.#longWords;
    if (!whole && stop - position < encoder.piece) return false;
    if (this.#longStart < 0) this.#longStart = this.#count;
    while (position < stop && (whole || stop - position >= encoder.piece)) {
      position += encoder.step(bytes, position, stop, whole, this.#out.subarray(this.#longStart, this.#count));
      this.#count -= encoder.dropped;
      this.#reserve(encoder.count);
      this.#out.set(encoder.ids.subarray(0, encoder.count), this.#count);
      this.#count += encoder.count;
    }
    this.#reader.position = position;
    if (whole) this.#longStart = -1;
    return whole;
  }

  /** Makes room for `n` more ids. */
  #reserve(n: number): void {
    if (this.#count + n <= this.#out.length) return;
    const larger = new Uint32Array(Math.max(2 * this.#out.length, this.#count + n));
    larger.set(this.#out.subarray(0, this.#count));
    this.#out = larger;
  }

  #result(): Uint32Array {
    const ids = this.#out.slice(0, this.#count);
    if (this.#out.length > MOST_KEPT) this.#out = new Uint32Array(1 << 12);
    return ids;
  }

  /**
   * A copy of the bytes of one token.
   *
   * @throws {TokenizerError} no token has this id.
   */
  idToBytes(id: number): Uint8Array {
    return this.#tokens.of(id);
  }

  /**
   * The exact bytes of a sequence of ids.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    return this.#tokens.bytesOf(ids);
  }

  /**
   * The text of a sequence of ids; bytes that are not UTF-8 (such as half a character) become U+FFFD.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decode(ids: ArrayLike<number>): string {
    return this.#tokens.textOf(ids);
  }

  /** Clears the cache of words, for measuring. */
  clearCache(): void {
    this.#cacheIfMade?.clear();
  }

  /** A decoder for ids that come one at a time. */
  decoder(): StreamDecoder {
    return new StreamDecoder(this.#tokens);
  }

  /** The text of ids that come one at a time, up to the first stop string. */
  textStream(stop: readonly string[] = []): TextStream {
    return new TextStream(this.decoder(), stop);
  }
}

/** Words with more bytes are encoded in pieces. */
const LONG_WORD = 2048;

/** Bytes at the end of an unfinished run of white space that may belong to the next word: one character. */
const HELD_BACK = 4;

/** Capacity, in ids, that is kept from one text to the next. */
const MOST_KEPT = 1 << 18;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
