import { TokenizerError, UsageError } from "../../errors.js";
import { AddedTokenSplitter, checkAllowed } from "../added-tokens.js";
import { isPunctuation, isWhiteSpace, type Normalized, normalize } from "./normalize.js";
import { isPunctuationLegacy, normalizeLegacy } from "./normalize-legacy.js";
import { type TruncationOptions, truncate, type Window } from "./truncate.js";
import type { TemplatePiece, WordPieceVocabulary } from "./vocabulary.js";

export interface WordPieceEncodeOptions {
  /** Special tokens to recognise in the text: all of them, or these; none by default. */
  readonly allowedSpecial?: "all" | readonly string[];
  /** Whether to put the template's tokens around the text, such as `[CLS]` and `[SEP]`; true by default. */
  readonly addSpecialTokens?: boolean;
  /** By default texts of any length are encoded whole. */
  readonly truncation?: TruncationOptions;
}

/** The tokens of a text, or of two. */
export interface WordPieceEncoding {
  readonly ids: Uint32Array;
  /** [tokens] token types: in BERT 0 for the first text, 1 for the second. */
  readonly typeIds: Uint8Array;
  /** [tokens] the text that a token comes from, 0 or 1; -1 for the template's tokens. */
  readonly texts: Int8Array;
  /** [2 × tokens] start and end of each token in its text, in UTF-16 units; 0, 0 for the template's tokens. */
  readonly offsets: Uint32Array;
  /** The windows of a truncated text after this one. */
  readonly overflowing: readonly WordPieceEncoding[];
}

/** Tokens of one text. */
interface Pieces {
  readonly ids: number[];
  readonly offsets: number[];
}

/** Added tokens are found in the text as it is, those that are normalized in normalized text. */
interface Splitters {
  readonly raw: AddedTokenSplitter;
  readonly normalized: AddedTokenSplitter;
}

/**
 * BERT's tokenizer. Text is normalized, split at white space and punctuation, and each word is cut into the longest pieces
 * that the vocabulary has, from left to right:
 *
 *     for (let start = 0; start < word.length; start = end) {
 *       end = word.length;
 *       while (end > start && !vocabulary.has((start > 0 ? "##" : "") + word.slice(start, end))) end--;
 *       if (end === start) return ["[UNK]"]; // for the whole word
 *       pieces.push(…);
 *     }
 *
 * Here pieces with and without `##` are in maps of their own, and no piece longer than the longest token is tried.
 */
export class WordPieceTokenizer {
  readonly vocabulary: WordPieceVocabulary;
  /** Tokens that begin a word, and tokens that continue one without their prefix. */
  readonly #first = new Map<string, number>();
  readonly #next = new Map<string, number>();
  /** Of the longest token, in UTF-16 units. */
  #longest = 0;
  /** By the special tokens allowed. */
  readonly #splitters = new Map<string, Splitters>();

  constructor(vocabulary: WordPieceVocabulary) {
    this.vocabulary = vocabulary;
    const { prefix } = vocabulary;
    vocabulary.tokens.forEach((token, id) => {
      if (token === undefined) return;
      this.#longest = Math.max(this.#longest, token.length);
      this.#first.set(token, id);
      if (token.startsWith(prefix)) this.#next.set(token.slice(prefix.length), id);
    });
  }

  /** Number of ids: every id is below it. */
  get vocabSize(): number {
    return this.vocabulary.tokens.length;
  }

  /** Special tokens and their ids. */
  get specialTokens(): ReadonlyMap<string, number> {
    return new Map(this.vocabulary.added.filter(({ special }) => special).map(({ text, id }) => [text, id]));
  }

  /** Id of a token as the vocabulary writes it, such as `##ing`. */
  idOf(token: string): number | undefined {
    return this.#first.get(token) ?? this.vocabulary.added.find(({ text }) => text === token)?.id;
  }

  /** Whether an id continues the word of the token before it. */
  continuesWord(id: number): boolean {
    return this.vocabulary.tokens[id]?.startsWith(this.vocabulary.prefix) === true;
  }

  /**
   * Tokens of a text, or of two that belong together, such as a question and a passage.
   *
   * @throws {UsageError} an unknown special token, or truncation that can't make room.
   */
  encode(text: string | readonly [string, string], options: WordPieceEncodeOptions = {}): WordPieceEncoding {
    const texts = typeof text === "string" ? [text] : text;
    const pieces = texts.map((one) => this.#piecesOf(one, options));
    const { template } = this.vocabulary;
    const whole = texts.length === 1 ? template.single : template.pair;
    const around = options.addSpecialTokens === false ? whole.filter((piece) => "text" in piece) : whole;
    const [first, second = [undefined]] = this.#windowsOf(pieces, around, options.truncation);
    // As tokenizers merges them: the windows of the first text, each with all of the second.
    const combinations = [...first!.slice(1), first![0]!].flatMap((a) => second.map((b) => [a, b] as const));
    const main = combinations.splice(combinations.length - second.length, 1)[0]!;
    const [kept, ...overflowing] = [main, ...combinations].map((windows) => assemble(pieces, windows, around));
    return { ...kept!, overflowing };
  }

  #windowsOf(
    pieces: readonly Pieces[],
    around: readonly TemplatePiece[],
    truncation: TruncationOptions | undefined,
  ): Window[][] {
    const lengths = pieces.map(({ ids }) => ids.length);
    if (truncation === undefined) return lengths.map((n) => [[0, n]]);
    const { maxLength } = truncation;
    const own = around.filter((piece) => "id" in piece).length;
    if (Number.isInteger(maxLength) && maxLength >= own) return truncate(lengths, maxLength - own, truncation);
    const expected = `an integer of at least ${own}, the template's tokens`;
    throw new UsageError({ op: "encoding: maxLength", expected, got: String(maxLength) });
  }

  #piecesOf(text: string, { allowedSpecial = [] }: WordPieceEncodeOptions): Pieces {
    const pieces: Pieces = { ids: [], offsets: [] };
    const splitters = this.#splittersFor(allowedSpecial);
    splitters.raw.split(
      text,
      (plain, start) => {
        const normalized = this.#normalize(plain);
        splitters.normalized.split(
          normalized.text,
          (part, from) => this.#addWords(normalized, from, from + part.length, start, pieces),
          (id, from, to) => push(pieces, id, start + normalized.starts[from]!, start + normalized.ends[to - 1]!),
        );
      },
      (id, start, end) => push(pieces, id, start, end),
    );
    return pieces;
  }

  #normalize(text: string): Normalized {
    const { normalizer } = this.vocabulary;
    return normalizer.legacy ? normalizeLegacy(text, normalizer) : normalize(text, normalizer);
  }

  #splittersFor(allowed: "all" | readonly string[]): Splitters {
    const key = JSON.stringify(allowed);
    const known = this.#splitters.get(key);
    if (known !== undefined) return known;
    const { added } = this.vocabulary;
    if (allowed !== "all") checkAllowed(added, allowed);
    const split = (isNormalized: boolean): AddedTokenSplitter => {
      const tokens = added.filter(({ normalized = false }) => normalized === isNormalized);
      const some = tokens.filter(({ special, text }) => special && allowed.includes(text));
      const textOf = (text: string): string => (isNormalized ? this.#normalize(text).text.trimEnd() : text);
      return new AddedTokenSplitter(
        tokens.map((token) => ({ ...token, text: textOf(token.text) })),
        allowed === "all" ? "all" : some.map(({ text }) => textOf(text)),
      );
    };
    const splitters = { raw: split(false), normalized: split(true) };
    if (this.#splitters.size >= 16) this.#splitters.clear();
    this.#splitters.set(key, splitters);
    return splitters;
  }

  /** Splits normalized text [from, to) at white space, which is dropped, and punctuation, of which each is a word. */
  #addWords(normalized: Normalized, from: number, to: number, base: number, pieces: Pieces): void {
    const { text } = normalized;
    const splits = this.vocabulary.normalizer.legacy ? isPunctuationLegacy : isPunctuation;
    let start = from;
    for (let at = from, next = at; at < to; at = next) {
      const codePoint = text.codePointAt(at)!;
      next = at + (codePoint > 0xffff ? 2 : 1);
      const space = isWhiteSpace(codePoint);
      if (!space && !splits(codePoint)) continue;
      if (start < at) this.#addWord(normalized, start, at, base, pieces);
      if (!space) this.#addWord(normalized, at, next, base, pieces);
      start = next;
    }
    if (start < to) this.#addWord(normalized, start, to, base, pieces);
  }

  #addWord({ text, starts, ends }: Normalized, from: number, to: number, base: number, pieces: Pieces): void {
    const before = pieces.ids.length;
    const { maxWordChars, unknown } = this.vocabulary;
    const isTooLong = to - from > maxWordChars && countChars(text, from, to) > maxWordChars;
    let start = isTooLong ? Number.NaN : from;
    while (start < to) {
      const tokens = start === from ? this.#first : this.#next;
      let end = Math.min(to, start + this.#longest);
      let id: number | undefined;
      while (end > start && (id = tokens.get(text.slice(start, end))) === undefined) end--;
      if (id === undefined) break;
      push(pieces, id, base + starts[start]!, base + ends[end - 1]!);
      start = end;
    }
    if (start === to) return;
    pieces.ids.length = before;
    pieces.offsets.length = 2 * before;
    push(pieces, unknown, base + starts[from]!, base + ends[to - 1]!);
  }

  /**
   * Text of ids: pieces joined, words with spaces between, and none before punctuation. What normalizing changed stays
   * changed.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const { tokens, prefix } = this.vocabulary;
    const special = new Set(skipSpecialTokens ? this.specialTokens.values() : []);
    // As tokenizers has it, an added token that is looked for in normalized text decodes to its normalized text.
    const own = new Map(
      this.vocabulary.added.map(({ id, text, normalized }) => [
        id,
        normalized ? this.#normalize(text).text.trimEnd() : text,
      ]),
    );
    const kept = Array.from(ids).filter((id) => !special.has(id));
    const pieces = kept.map((id) => {
      const token = own.get(id) ?? tokens[id];
      if (token !== undefined) return token;
      throw new TokenizerError({ op: "decoding", expected: `an id from 0 to ${tokens.length - 1}`, got: String(id) });
    });
    return joinPieces(pieces, prefix);
  }
}

/** Text of tokens: pieces joined, words with spaces between, and none before punctuation, as tokenizers' decoder has it. */
export function joinPieces(pieces: readonly string[], prefix: string): string {
  return pieces
    .map((piece, i) => {
      const joined = i === 0 ? piece : piece.startsWith(prefix) ? piece.slice(prefix.length) : ` ${piece}`;
      return cleanUp(joined);
    })
    .join("");
}

function push({ ids, offsets }: Pieces, id: number, start: number, end: number): void {
  ids.push(id);
  offsets.push(start, end);
}

function countChars(text: string, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) if ((text.charCodeAt(i) & 0xfc00) !== 0xdc00) count++;
  return count;
}

function assemble(
  pieces: readonly Pieces[],
  windows: readonly [Window, Window | undefined],
  around: readonly TemplatePiece[],
): WordPieceEncoding {
  const ids: number[] = [];
  const types: number[] = [];
  const texts: number[] = [];
  const offsets: number[] = [];
  for (const piece of around) {
    if ("id" in piece) {
      ids.push(piece.id);
      types.push(piece.type);
      texts.push(-1);
      offsets.push(0, 0);
      continue;
    }
    const [start, end] = windows[piece.text]!;
    for (let i = start; i < end; i++) {
      ids.push(pieces[piece.text]!.ids[i]!);
      types.push(piece.type);
      texts.push(piece.text);
      offsets.push(pieces[piece.text]!.offsets[2 * i]!, pieces[piece.text]!.offsets[2 * i + 1]!);
    }
  }
  return {
    ids: Uint32Array.from(ids),
    typeIds: Uint8Array.from(types),
    texts: Int8Array.from(texts),
    offsets: Uint32Array.from(offsets),
    overflowing: [],
  };
}

/** English's spaces around punctuation and contractions, as tokenizers' WordPiece decoder takes them out. */
const CLEAN_UPS: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

const cleanUp = (text: string): string => CLEAN_UPS.reduce((t, [from, to]) => t.replaceAll(from, to), text);
