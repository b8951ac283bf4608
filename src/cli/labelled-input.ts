import { jsonlFiles } from "../data/examples/prepare-examples.js";
import { readLines } from "../data/examples/read-lines.js";
import type { LabelKind } from "../data/labelled/labelled-folder.js";
import { type LabelledLine, labelledLine } from "../data/labelled/read-labelled.js";
import { DataError, UsageError } from "../errors.js";
import { readInput } from "./input.js";

/** Texts of a command: one of its own, or of `--file`, or piped in; or lines of JSONL. */
export interface TextInput {
  readonly words: readonly string[];
  readonly file?: string | undefined;
  readonly data?: readonly string[] | undefined;
}

/** @param kind of the labels; without one they are left out. @throws {UsageError} no text, or text and JSONL; {@link DataError} malformed JSONL. */
export async function readTexts(
  verb: string,
  { words, file, data }: TextInput,
  kind?: LabelKind,
): Promise<LabelledLine[]> {
  if (data !== undefined) {
    if (words.length > 0 || file !== undefined) {
      throw new UsageError({ op: "--data", expected: "either lines of JSONL or a text", got: "both" });
    }
    const lines: LabelledLine[] = [];
    for await (const line of readLines(jsonlFiles(data))) lines.push(labelledLine(line, kind));
    if (lines.length > 0) return lines;
    throw new DataError({ op: `reading ${data.join(", ")}`, expected: "lines of JSON", got: "none" });
  }
  const input = await readInput(words, file);
  const text = input && new TextDecoder().decode(input);
  if (text) return [{ text, label: undefined }];
  const expected = "a text as argument, with --file, piped in, or lines with --data";
  throw new UsageError({ op: `gpt2 ${verb}`, expected, got: "none" });
}
