import { DataError, UsageError } from "../../errors.js";
import type { EncoderTokenizer } from "../../tokenizer/encoder-tokenizer.js";
import { questionWindows } from "../../tokenizer/question-windows.js";
import { idsOfText, type TextTokenizer } from "../../tokenizer/text-tokenizer.js";
import type { WordPieceEncoding } from "../../tokenizer/wordpiece/encode-pieces.js";
import { wordsOf } from "../../tokenizer/words-of.js";
import type { FileLine } from "../read-lines.js";
import type { LabelKind } from "./labelled-folder.js";
import { labelledLine } from "./labelled-line.js";
import { type AskedQuestion, askedQuestion } from "./question-lines.js";
import { taggedLine } from "./tagged-line.js";

/** A text, or a window of one, as a model reads it. */
export interface LabelledText {
  readonly tokens: readonly number[];
  readonly types: readonly number[];
  /** Like {@link LabelledTexts}, but with classes by name; undefined where no label counts. */
  readonly labels: readonly (string | number | undefined)[];
}

export interface LabelledEncoder {
  readonly tokenizer: TextTokenizer;
  /** The tokenizer of a model that reads whole texts. */
  readonly encoder?: EncoderTokenizer | undefined;
  /** Tokens that the model reads at most: longer texts are cut, and contexts of questions read in windows. */
  readonly maxLength: number;
}

/** An encoded line of JSONL, and the texts whose hash chooses its split. */
export interface EncodedLine {
  readonly windows: readonly LabelledText[];
  readonly texts: readonly string[];
}

/** Tokens that neighbouring windows of a context share, as in BERT's own SQuAD script; at most half a window. */
const STRIDE = 128;

/** @throws {DataError} a field is missing or malformed; {@link UsageError} the model can't learn that. */
export function encodeLabelled(line: FileLine, kind: LabelKind, settings: LabelledEncoder): EncodedLine {
  if (kind === "tokens") return encodeTagged(line, settings);
  if (kind === "spans") return encodeQuestion(line, settings);
  const { text, pair, label } = labelledLine(line, kind);
  const op = `reading ${line.where}`;
  if (label === undefined) throw new DataError({ op, expected: 'a "label"', got: "none" });
  const { tokens, types } = encodeText(text, pair, settings, op);
  if (tokens.length > 0) return { windows: [{ tokens, types, labels: [label] }], texts: pair ? [text, pair] : [text] };
  throw new DataError({ op, expected: 'a "text" with something in it', got: "an empty one" });
}

function encodeText(
  text: string,
  pair: string | undefined,
  { tokenizer, encoder, maxLength }: LabelledEncoder,
  op: string,
): Pick<LabelledText, "tokens" | "types"> {
  if (encoder) {
    const { ids, typeIds } = encoder.encode(pair === undefined ? text : [text, pair], { truncation: { maxLength } });
    return { tokens: [...ids], types: [...typeIds] };
  }
  if (pair !== undefined) {
    const expected = '"text" alone: pairs are for models that read whole texts, as a BERT';
    throw new DataError({ op, expected, got: '"pair" as well' });
  }
  const tokens = Array.from(idsOfText(tokenizer, text));
  return { tokens, types: tokens.map(() => 0) };
}

/** @throws {UsageError} the model reads from left to right. */
function needEncoder({ encoder }: LabelledEncoder, task: string): EncoderTokenizer {
  if (encoder) return encoder;
  const expected = "a model that reads whole texts, as a BERT";
  throw new UsageError({ op: `fine-tuning for ${task}`, expected, got: "a model that reads from left to right" });
}

/** The first token of each word has its tag, and others none (Devlin et al. 2019, section 5.3). */
function encodeTagged(line: FileLine, settings: LabelledEncoder): EncodedLine {
  const { words, tags } = taggedLine(line);
  const encoder = needEncoder(settings, "tokens");
  const text = words.join(" ");
  const encoding = encoder.encode(text, { truncation: { maxLength: settings.maxLength } });
  const labels = wordsOf(encoding, words).map((word) => (word === undefined ? undefined : tags[word]));
  return { windows: [{ tokens: [...encoding.ids], types: [...encoding.typeIds], labels }], texts: [text] };
}

function encodeQuestion(line: FileLine, settings: LabelledEncoder): EncodedLine {
  const asked = askedQuestion(line);
  const { maxLength } = settings;
  const size = { maxLength, stride: Math.min(STRIDE, maxLength >> 1) };
  const encoder = needEncoder(settings, "answers");
  const windows = questionWindows(encoder, asked, size, `reading ${line.where}`).map((encoding) => {
    const { ids, typeIds } = encoding;
    return { tokens: [...ids], types: [...typeIds], labels: answerPlace(encoding, asked) };
  });
  return { windows, texts: [asked.context] };
}

/** First and last token of the first answer; 0, 0 where the window does not have all of it. */
function answerPlace({ texts, offsets }: WordPieceEncoding, { answers: [answer] }: AskedQuestion): [number, number] {
  if (answer === undefined) return [0, 0];
  const [from, to] = [answer.start, answer.start + answer.text.length];
  const [first, last] = [texts.indexOf(1), texts.lastIndexOf(1)];
  if (first < 0 || offsets[2 * first]! > from || offsets[2 * last + 1]! < to) return [0, 0];
  let [start, end] = [first, last];
  while (start < last && offsets[2 * start + 1]! <= from) start++;
  while (end > start && offsets[2 * end]! >= to) end--;
  return [start, end];
}
