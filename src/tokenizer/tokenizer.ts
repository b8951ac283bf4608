import { TokenizerError } from "../errors.js";
import { asciiWordEnd } from "./ascii-words.js";
import { LongWordEncoder } from "./long-word.js";
import { WordMerger } from "./merge-word.js";
import { MOST_IDS } from "./pair-table.js";
import { PretokenReader } from "./pretoken-reader.js";
import { pretokenEnd, pretokenRest } from "./pretokenize.js";
import { SpecialSplitter } from "./special-splitter.js";
import { StreamDecoder } from "./stream-decoder.js";
import { TokenBytes } from "./token-bytes.js";
import { END_OF_TEXT, type Vocabulary } from "./vocabulary.js";
import { WordCache } from "./word-cache.js";

export interface EncodeOptions {
  /**
   * Special tokens to recognise in the text: all of them, or these. None by default: `<|endoftext|>` in a text from
   * outside is then the thirteen characters that it is.
   */
  readonly allowedSpecial?: "all" | readonly string[];
}

/** A byte-level BPE tokenizer: GPT-2's, or any other of its kind. */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  #mergerIfMade: WordMerger | undefined;
  #cacheIfMade: WordCache | undefined;
  #tokensIfMade: TokenBytes | undefined;
  #longWordsIfMade: LongWordEncoder | undefined;
  readonly #reader = new PretokenReader();
  readonly #splitters = new Map<string, SpecialSplitter>();
  /** Ids of the text being encoded. */
  #out = new Uint32Array(1 << 12);
  #count = 0;
  /** Where in #out the ids of a very long word start that is not encoded in full; -1 otherwise. */
  #longStart = -1;

  /** @throws {TokenizerError} more tokens than the tables hold, about a million. */
  constructor(vocabulary: Vocabulary) {
    if (vocabulary.size > MOST_IDS) {
      const got = vocabulary.size.toLocaleString("en");
      throw new TokenizerError({ op: "making a tokenizer", expected: `at most ${MOST_IDS} tokens`, got });
    }
    this.vocabulary = vocabulary;
  }

  /** Made when first needed: whoever gives token ids never does. */
  get #merger(): WordMerger {
    this.#mergerIfMade ??= new WordMerger(this.vocabulary);
    return this.#mergerIfMade;
  }

  get #cache(): WordCache {
    this.#cacheIfMade ??= new WordCache();
    return this.#cacheIfMade;
  }

  /** Made when first needed: whoever only encodes never does. */
  get #tokens(): TokenBytes {
    this.#tokensIfMade ??= new TokenBytes(this.vocabulary);
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

  /** Id of `<|endoftext|>`, or undefined if this vocabulary has none. */
  get endOfText(): number | undefined {
    return this.vocabulary.special.get(END_OF_TEXT);
  }

  /** Special tokens and their ids. */
  get specialTokens(): ReadonlyMap<string, number> {
    return this.vocabulary.special;
  }

  /**
   * Ids of a text. Lone surrogates count as U+FFFD.
   *
   * @throws {UsageError} `allowedSpecial` names a token that is not special here.
   */
  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    this.#count = 0;
    const { allowedSpecial } = options;
    if (allowedSpecial === undefined || allowedSpecial.length === 0) this.#encodeText(text);
    else this.#encodeSpecial(text, allowedSpecial);
    return this.#result();
  }

  /** Ids of a text given as UTF-8, special tokens not recognised. Bytes that are not UTF-8 keep their values. */
  encodeBytes(utf8: Uint8Array): Uint32Array {
    this.#count = 0;
    this.#reader.openBytes(utf8);
    this.#encodeWords();
    return this.#result();
  }

  #encodeText(text: string): void {
    this.#reader.openText(text);
    this.#encodeWords();
  }

  #encodeSpecial(text: string, allowed: "all" | readonly string[]): void {
    const key = allowed === "all" ? "all" : JSON.stringify(allowed);
    let splitter = this.#splitters.get(key);
    if (splitter === undefined) {
      const { special } = this.vocabulary;
      splitter = new SpecialSplitter(special, allowed === "all" ? [...special.keys()] : allowed);
      if (this.#splitters.size >= 16) this.#splitters.clear();
      this.#splitters.set(key, splitter);
    }
    splitter.split(
      text,
      (plain) => this.#encodeText(plain),
      (id) => {
        this.#reserve(1);
        this.#out[this.#count++] = id;
      },
    );
  }

  /** Encodes what the reader was opened on. */
  #encodeWords(): void {
    this.#longStart = -1;
    while (this.#reader.fill()) {
      // A token is at least one byte.
      this.#reserve(this.#reader.limit);
      if (this.#longStart < 0) this.#encodeWindow();
      while (this.#encodeLongWord()) this.#encodeWindow();
    }
  }

  /** Encodes words of the window until one is very long, or is not there in full. */
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

  /** Encodes the next word, or what is there of it if it is very long; true if that was all of it. */
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
   * Bytes of one token, a copy.
   *
   * @throws {TokenizerError} no token has this id.
   */
  idToBytes(id: number): Uint8Array {
    return this.#tokens.of(id);
  }

  /**
   * The exact bytes that the ids stand for.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    return this.#tokens.bytesOf(ids);
  }

  /**
   * Text of ids; bytes that are not UTF-8 (a character cut in two, say) become U+FFFD.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decode(ids: ArrayLike<number>): string {
    return this.#tokens.textOf(ids);
  }

  /** Forgets the words met so far, whose ids are kept to be found faster: for measuring. */
  clearCache(): void {
    this.#cacheIfMade?.clear();
  }

  /** For ids that come one at a time. */
  decoder(): StreamDecoder {
    return new StreamDecoder(this.#tokens);
  }
}

/** Words of more bytes are encoded in pieces. */
const LONG_WORD = 2048;

/** Bytes at the end of an unfinished run of white space that may turn out to belong to the next word: a character. */
const HELD_BACK = 4;

/** Ids of room kept from one text to the next. */
const MOST_KEPT = 1 << 18;
