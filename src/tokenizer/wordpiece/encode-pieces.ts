import { UsageError } from "../../errors.js";
import { type TruncationOptions, truncate, type Window } from "./truncate.js";
import type { Template, TemplatePiece } from "./vocabulary.js";

export interface WordPieceEncodeOptions {
  /** Special tokens to recognize in the text: all of them, or these; none by default. */
  readonly allowedSpecial?: "all" | readonly string[];
  /** Whether to add the template's tokens around the text, such as `[CLS]` and `[SEP]`; true by default. */
  readonly addSpecialTokens?: boolean;
  /** By default texts of any length are encoded completely. */
  readonly truncation?: TruncationOptions;
}

/** The tokens of a text, or of a pair of texts. */
export interface WordPieceEncoding {
  readonly ids: Uint32Array;
  /** [tokens] token types: in BERT 0 for the first text, 1 for the second. */
  readonly typeIds: Uint8Array;
  /** [tokens] the text of each token, 0 or 1; -1 for the template's tokens. */
  readonly texts: Int8Array;
  /** [2 × tokens] start and end of each token in its text, in UTF-16 units; 0, 0 for the template's tokens. */
  readonly offsets: Uint32Array;
  /** The further windows of a truncated text. */
  readonly overflowing: readonly WordPieceEncoding[];
}

/** Tokens of one text, and the start and end of each in it. */
export interface Pieces {
  readonly ids: number[];
  readonly offsets: number[];
}

/**
 * Adds a template around the tokens of a text, or of a pair, and truncates them to the maximum length.
 *
 * @throws {UsageError} truncation can't make room.
 */
export function encodePieces(
  pieces: readonly Pieces[],
  template: Template,
  options: Pick<WordPieceEncodeOptions, "addSpecialTokens" | "truncation">,
): WordPieceEncoding {
  const whole = pieces.length === 1 ? template.single : template.pair;
  const around = options.addSpecialTokens === false ? whole.filter((piece) => "text" in piece) : whole;
  const [first, second = [undefined]] = windowsOf(pieces, around, options.truncation);
  // Merged as by tokenizers: the windows of the first text, each with all of the second.
  const combinations = [...first!.slice(1), first![0]!].flatMap((a) => second.map((b) => [a, b] as const));
  const main = combinations.splice(combinations.length - second.length, 1)[0]!;
  const [kept, ...overflowing] = [main, ...combinations].map((windows) => assemble(pieces, windows, around));
  return { ...kept!, overflowing };
}

function windowsOf(
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
