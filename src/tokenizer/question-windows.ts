import { UsageError } from "../errors.js";
import type { EncoderTokenizer } from "./encoder-tokenizer.js";
import type { WordPieceEncoding } from "./wordpiece/encode-pieces.js";

export interface WindowSize {
  /** Length in tokens, including the question and the special tokens. */
  readonly maxLength: number;
  /** Number of context tokens that neighbouring windows share. */
  readonly stride: number;
}

/**
 * Encodes a question with its context, cut into overlapping windows if it is too long for one.
 *
 * @throws {UsageError} the question leaves no room for the context.
 */
export function questionWindows(
  tokenizer: EncoderTokenizer,
  { question, context }: { readonly question: string; readonly context: string },
  { maxLength, stride }: WindowSize,
  op = "answering",
): WordPieceEncoding[] {
  const marks = tokenizer.encode(["", ""]).ids.length;
  const length = tokenizer.encode(question, { addSpecialTokens: false }).ids.length;
  if (maxLength - length - marks <= stride) {
    const expected = `at most ${maxLength - stride - marks - 1} tokens, to leave room for the context`;
    throw new UsageError({ op: `${op}: the question`, expected, got: String(length) });
  }
  const truncation = { maxLength, stride, strategy: "only_second" } as const;
  const { overflowing, ...first } = tokenizer.encode([question, context], { truncation });
  return [{ ...first, overflowing: [] }, ...overflowing];
}
