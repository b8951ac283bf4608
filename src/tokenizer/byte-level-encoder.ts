import { TokenizerError } from "../errors.js";
import { bytesToChars, charsToBytes } from "./byte-alphabet.js";
import { ByteOffsets } from "./byte-offsets.js";
import type { EncoderTokenizer } from "./encoder-tokenizer.js";
import type { Tokenizer } from "./tokenizer.js";
import {
  encodePieces,
  type Pieces,
  type WordPieceEncodeOptions,
  type WordPieceEncoding,
} from "./wordpiece/encode-pieces.js";
import { bertTemplate, type Template } from "./wordpiece/vocabulary.js";

/** Special tokens by their use: a BERT's, and RoBERTa's (Liu et al. 2019), which has two separators between a pair's texts. */
const KINDS = [
  { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  { pad: "<pad>", cls: "<s>", sep: "</s>", mask: "<mask>" },
] as const;

/** A byte-level BPE as a BERT's or a RoBERTa's tokenizer. */
export class ByteLevelEncoder implements EncoderTokenizer {
  readonly tokenizer: Tokenizer;
  readonly maskToken: string;
  readonly #special: ReadonlySet<number>;
  readonly #template: Template;

  /** @throws {TokenizerError} it has the special tokens of neither. */
  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    const known = tokenizer.specialTokens;
    const kind = KINDS.find((names) => Object.values(names).every((text) => known.has(text)));
    if (kind === undefined) {
      const [bert, roberta] = KINDS.map((names) => Object.values(names).join(", "));
      const got = [...known.keys()].slice(0, 20).join(", ") || "none";
      throw new TokenizerError({ op: "a BERT's vocabulary", expected: `the tokens ${bert}, or ${roberta}`, got });
    }
    const [pad, cls, sep, mask] = Object.values(kind).map((text) => known.get(text)!) as [
      number,
      number,
      number,
      number,
    ];
    this.maskToken = kind.mask;
    this.#special = new Set([pad, cls, sep, mask]);
    this.#template = kind === KINDS[0] ? bertTemplate(cls, sep) : robertaTemplate(cls, sep);
  }

  get vocabSize(): number {
    return this.tokenizer.vocabSize;
  }

  encode(text: string | readonly [string, string], options: WordPieceEncodeOptions = {}): WordPieceEncoding {
    const texts = typeof text === "string" ? [text] : text;
    const pieces = texts.map((one) => this.#piecesOf(one, options.allowedSpecial));
    return encodePieces(pieces, this.#template, options);
  }

  #piecesOf(text: string, allowedSpecial: WordPieceEncodeOptions["allowedSpecial"]): Pieces {
    const options = { addSpecialTokens: false, ...(allowedSpecial && { allowedSpecial }) };
    const ids = Array.from(this.tokenizer.encode(text, options));
    const offsets = new ByteOffsets(text);
    return { ids, offsets: ids.flatMap((id) => offsets.next(this.tokenizer.decodeBytes([id]))) };
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const kept = Array.from(ids).filter((id) => !skipSpecialTokens || !this.#special.has(id));
    return this.tokenizer.decode(kept);
  }

  /** The id of a token, given its text: ` the`. */
  idOf(token: string): number | undefined {
    const special = this.tokenizer.specialTokens.get(token);
    if (special !== undefined) return special;
    const ids = this.tokenizer.encode(token, { addSpecialTokens: false });
    return ids.length === 1 ? ids[0] : undefined;
  }

  continuesWord(id: number, before: number): boolean {
    const [first] = this.tokenizer.decodeBytes([id]);
    const last = this.tokenizer.decodeBytes([before]).at(-1);
    return isWordByte(first) && isWordByte(last);
  }

  /** A token in the alphabet of GPT-2's files: `Ġthe`. */
  tokenText(id: number): string {
    return this.#special.has(id) ? this.tokenizer.decode([id]) : bytesToChars(this.tokenizer.decodeBytes([id]));
  }

  continuesIn(text: string, _id: number, start: number): boolean {
    return start > 0 && !text.slice(start - 1, start + 1).includes(" ");
  }

  joinTokens(tokens: readonly string[]): string {
    const bytes = charsToBytes(tokens.join(""));
    return bytes ? new TextDecoder().decode(bytes) : tokens.join("");
  }
}

/** `<s> A </s>`, `<s> A </s></s> B </s>`, all of type 0. */
function robertaTemplate(cls: number, sep: number): Template {
  const { single } = bertTemplate(cls, sep);
  const end = { id: sep, type: 0 };
  return { single, pair: [...single, end, { text: 1, type: 0 }, end] };
}

/** Letters, digits, and bytes of characters beyond ASCII. */
const isWordByte = (byte = 0): boolean =>
  byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
