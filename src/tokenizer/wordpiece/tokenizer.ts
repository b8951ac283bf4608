import { TokenizerError } from "../../errors.js";
import { AddedTokenSplitter, checkAllowed } from "../added-tokens.js";
import { encodePieces, type Pieces, type WordPieceEncodeOptions, type WordPieceEncoding } from "./encode-pieces.js";
import { isPunctuation, isWhiteSpace, type Normalized, normalize } from "./normalize.js";
import { isPunctuationLegacy, normalizeLegacy } from "./normalize-legacy.js";
import { BERT_TOKENS, type WordPieceVocabulary } from "./vocabulary.js";

export type { WordPieceEncodeOptions, WordPieceEncoding };

/** Splitters for added tokens: in the original text, and in normalized text for those that are normalized. */
interface Splitters {
  readonly raw: AddedTokenSplitter;
  readonly normalized: AddedTokenSplitter;
}

/**
 * BERT's tokenizer. Text is normalized, split at white space and punctuation, and each word is cut into the longest pieces
 * in the vocabulary, from left to right:
 *
 *     for (let start = 0; start < word.length; start = end) {
 *       end = word.length;
 *       while (end > start && !vocabulary.has((start > 0 ? "##" : "") + word.slice(start, end))) end--;
 *       if (end === start) return ["[UNK]"]; // for the whole word
 *       pieces.push(…);
 *     }
 *
 * Here pieces with and without `##` are in separate maps, and no piece longer than the longest token is tried.
 */
export class WordPieceTokenizer {
  readonly vocabulary: WordPieceVocabulary;
  /** Tokens that begin a word, and tokens that continue one, without their prefix. */
  readonly #first = new Map<string, number>();
  readonly #next = new Map<string, number>();
  /** Length of the longest token, in UTF-16 units. */
  #longest = 0;
  /** Splitters, by the special tokens allowed. */
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

  /** Id of a token as written in the vocabulary, such as `##ing`. */
  idOf(token: string): number | undefined {
    return this.#first.get(token) ?? this.vocabulary.added.find(({ text }) => text === token)?.id;
  }

  get maskToken(): string {
    return BERT_TOKENS.mask;
  }

  /** Whether an id continues the word of the token before it. */
  continuesWord(id: number): boolean {
    return this.vocabulary.tokens[id]?.startsWith(this.vocabulary.prefix) === true;
  }

  /** A token as written in the vocabulary; undefined for the unknown token. */
  tokenText(id: number): string | undefined {
    return id === this.vocabulary.unknown ? undefined : this.vocabulary.tokens[id];
  }

  /** transformers' rule: its `##` makes a continuing token longer than its source. */
  continuesIn(text: string, id: number, start: number, end: number): boolean {
    const token = this.tokenText(id);
    return token !== undefined && [...token].length !== [...text.slice(start, end)].length;
  }

  joinTokens(tokens: readonly string[]): string {
    return joinPieces(tokens, this.vocabulary.prefix);
  }

  /**
   * Tokens of a text, or of two that belong together, such as a question and a passage.
   *
   * @throws {UsageError} an unknown special token, or truncation that can't make room.
   */
  encode(text: string | readonly [string, string], options: WordPieceEncodeOptions = {}): WordPieceEncoding {
    const texts = typeof text === "string" ? [text] : text;
    return encodePieces(
      texts.map((one) => this.#piecesOf(one, options)),
      this.vocabulary.template,
      options,
    );
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

  /** Splits normalized text [from, to) at white space, which is dropped, and at punctuation marks, each of which is a word. */
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
   * The text of a sequence of ids: pieces joined, words with spaces between them, and none before punctuation. Normalization is
   * not undone.
   *
   * @throws {TokenizerError} no token has one of the ids.
   */
  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const { tokens, prefix } = this.vocabulary;
    const special = new Set(skipSpecialTokens ? this.specialTokens.values() : []);
    // As in tokenizers, an added token that is searched for in normalized text decodes to its normalized text.
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

/** The text of tokens: pieces joined, words with spaces between them, and none before punctuation, as by tokenizers' decoder. */
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

/** Removes English's spaces around punctuation and contractions, like tokenizers' WordPiece decoder. */
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
