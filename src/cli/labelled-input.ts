import { type LabelledLine, labelledLine, type TextLabelKind } from "../data/examples/labelled-line.js";
import { jsonlFiles } from "../data/examples/prepare-lines.js";
import { readLines } from "../data/read-lines.js";
import { DataError, UsageError } from "../errors.js";
import type { Pair } from "../tasks/pairs.js";
import { readInput, type TextSource } from "./input.js";

/** One text, or lines of JSONL. */
export interface TextsSource extends TextSource {
  readonly data?: readonly string[] | undefined;
}

/**
 * The texts of a command: its own text, or those of `--data`.
 *
 * @param kind kind of the labels; without one, labels are left out
 * @throws {UsageError} there is no text, or both text and JSONL; {@link DataError} the JSONL is malformed.
 */
export async function readTexts(verb: string, source: TextsSource, kind?: TextLabelKind): Promise<LabelledLine[]> {
  const { words, file, data } = source;
  if (data !== undefined) {
    if (words.length > 0 || file !== undefined) {
      throw new UsageError({ op: "--data", expected: "either lines of JSONL or a text", got: "both" });
    }
    const lines: LabelledLine[] = [];
    for await (const line of readLines(jsonlFiles(data))) lines.push(labelledLine(line, kind));
    if (lines.length > 0) return lines;
    throw new DataError({ op: `reading ${data.join(", ")}`, expected: "lines of JSON", got: "none" });
  }
  const input = await readInput(source);
  const text = input && new TextDecoder().decode(input);
  if (text) return [{ text, label: undefined }];
  const expected = "a text as argument, with --file, piped in, or lines with --data";
  throw new UsageError({ op: `gpt2 ${verb}`, expected, got: "none" });
}

/** `input=output` of a flag: split at the first `=`, spaces around it removed. @throws {UsageError} it has another form. */
export function readPair(flag: string, text: string): Pair {
  const at = text.indexOf("=");
  const pair = [text.slice(0, Math.max(0, at)).trim(), text.slice(at + 1).trim()] as const;
  if (at > 0 && pair[0] !== "" && pair[1] !== "") return pair;
  throw new UsageError({ op: flag, expected: '"input=output"', got: JSON.stringify(text) });
}

/**
 * Pairs from flags, then from files: JSONL of `{ "input", "output" }`. Undefined without either.
 *
 * @throws {UsageError} a flag is malformed; {@link DataError} a file is.
 */
export async function readExamples(
  flags: readonly string[] | undefined,
  files: readonly string[] | undefined,
): Promise<Pair[] | undefined> {
  if (flags === undefined && files === undefined) return undefined;
  const pairs = (flags ?? []).map((text) => readPair("--example", text));
  if (files === undefined) return pairs;
  for await (const { record, where } of readLines(jsonlFiles(files))) {
    const { input, output } = record as { input?: unknown; output?: unknown };
    if (typeof input !== "string" || typeof output !== "string") {
      const got = `the fields ${Object.keys(record).join(", ") || "of an empty object"}`;
      throw new DataError({ op: `reading ${where}`, expected: '"input" and "output", both text', got });
    }
    pairs.push([input, output]);
  }
  return pairs;
}
