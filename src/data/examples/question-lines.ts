import { DataError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import type { InputFile } from "../inputs.js";
import { fieldsOf, parseRecord } from "../json-lines.js";
import { readInput } from "../read-input.js";
import { type FileLine, readLines } from "../read-lines.js";
import { concatBytes } from "../text.js";

/** A question, the text that has the answer, and the answers accepted. */
export interface AskedQuestion {
  readonly id: string | undefined;
  readonly question: string;
  readonly context: string;
  /** Accepted answers, by several people in SQuAD's test sets; none if the context has no answer. */
  readonly answers: readonly GivenAnswer[];
}

export interface GivenAnswer {
  readonly text: string;
  /** Position in the context, in UTF-16 units. */
  readonly start: number;
}

/**
 * Questions as lines: those of JSONL, `{ "question", "context", "answers": { "text": […], "answer_start": […] } }` as
 * in the hub's data sets, and those of SQuAD's own files (.json), which are lists of articles.
 *
 * @throws {DataError} an unreadable file, or another shape.
 */
export async function* readQuestions(
  files: readonly InputFile[],
  options: Parameters<typeof readLines>[1] = {},
): AsyncGenerator<FileLine, void, undefined> {
  for (const [index, file] of files.entries()) {
    if (file.whole) {
      yield* squadQuestions(file, index, options);
      continue;
    }
    const onRead = (_: number, bytes: number): void => options.onRead?.(index, bytes);
    for await (const line of readLines([file], { ...options, onRead })) yield { ...line, file: index };
  }
}

async function* squadQuestions(
  file: InputFile,
  index: number,
  { onRead, signal }: NonNullable<Parameters<typeof readLines>[1]>,
): AsyncGenerator<FileLine, void, undefined> {
  const parts: Uint8Array[] = [];
  for await (const part of readInput(file, { onRead: (bytes: number) => onRead?.(index, bytes), signal }))
    parts.push(part);
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const whole = parseRecord(new TextDecoder().decode(concatBytes(parts, size)), file.path);
  const list = (value: unknown, field: string, where: string): readonly unknown[] => {
    const found = isObject(value) ? value[field] : undefined;
    if (Array.isArray(found)) return found;
    const expected = `a list "${field}", as SQuAD's files have it`;
    throw new DataError({ op: `reading ${where}`, expected, got: quote(found) });
  };
  let number = 0;
  for (const article of list(whole, "data", file.path)) {
    for (const paragraph of list(article, "paragraphs", file.path)) {
      const { context } = paragraph as { context?: unknown };
      for (const record of list(paragraph, "qas", file.path)) {
        const where = `${file.path}, question ${++number}`;
        if (!isObject(record))
          throw new DataError({ op: `reading ${where}`, expected: "an object", got: quote(record) });
        yield { record: { ...record, context }, where, file: index };
      }
    }
  }
}

/** The question of a line. @throws {DataError} a field is missing, or an answer is not where it is said to be. */
export function askedQuestion({ record, where }: FileLine): AskedQuestion {
  const { id, question, context, answers } = record as Record<string, unknown>;
  const op = `reading ${where}`;
  if (typeof question !== "string" || typeof context !== "string" || answers === undefined) {
    throw new DataError({ op, expected: '"question", "context" and "answers"', got: fieldsOf(record) });
  }
  return {
    id: typeof id === "string" || typeof id === "number" ? String(id) : undefined,
    question,
    context,
    answers: answerFields(answers, op).map((answer) => placedAnswer(answer, context, op)),
  };
}

/** The answers of a list of `{ text, answer_start }`, or of an object of two lists. */
function answerFields(answers: unknown, op: string): { text: unknown; answer_start: unknown }[] {
  if (Array.isArray(answers)) return answers as { text: unknown; answer_start: unknown }[];
  const { text, answer_start: starts } = (answers ?? {}) as { text?: unknown; answer_start?: unknown };
  if (Array.isArray(text) && Array.isArray(starts) && text.length === starts.length) {
    return text.map((one: unknown, i) => ({ text: one, answer_start: starts[i] as unknown }));
  }
  throw new DataError({ op: `${op}: answers`, expected: 'lists "text" and "answer_start"', got: quote(answers) });
}

/** Files count Unicode's characters, as Python does. */
function placedAnswer(answer: unknown, context: string, op: string): GivenAnswer {
  const { text, answer_start: place } = (answer ?? {}) as { text?: unknown; answer_start?: unknown };
  if (typeof text !== "string" || typeof place !== "number" || !Number.isInteger(place) || place < 0) {
    throw new DataError({ op: `${op}: answers`, expected: 'a "text" and its "answer_start"', got: quote(answer) });
  }
  const start = /[\ud800-\udfff]/.test(context) ? [...context].slice(0, place).join("").length : place;
  const got = context.slice(start, start + text.length);
  if (text !== "" && got === text) return { text, start };
  throw new DataError({ op: `${op}: answer_start ${place}`, expected: `${quote(text)} there`, got: quote(got) });
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
