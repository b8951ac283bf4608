import { DataError } from "../../errors.js";
import type { InputFile } from "../inputs.js";
import { makeBatches } from "../make-batches.js";
import type { ExampleRecord } from "./template.js";

export interface ExampleLine {
  readonly record: ExampleRecord;
  /** Index of its file. */
  readonly file: number;
  /** For messages: `chats.jsonl, line 3`. */
  readonly where: string;
}

/**
 * The objects of JSONL files, plain or compressed, in order; empty lines are left out.
 *
 * @throws {DataError} an unreadable file, or a line that is no JSON object, by file and line.
 */
export async function* readLines(
  files: readonly InputFile[],
  onRead?: (file: number, bytes: number) => void,
): AsyncGenerator<ExampleLine, void, undefined> {
  for await (const batch of makeBatches(files, { destination: "train", ...(onRead && { onRead }) })) {
    if (batch.format !== "jsonl") continue;
    const text = new TextDecoder().decode(batch.bytes);
    for (const [i, line] of text.split("\n").entries()) {
      if (line.trim() === "") continue;
      const where = `${batch.path}, line ${batch.line + i}`;
      yield { record: parseLine(line, where), file: batch.file, where };
    }
  }
}

function parseLine(line: string, where: string): ExampleRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    const hint = "JSONL holds one JSON object a line.";
    throw new DataError({
      op: `reading ${where}`,
      expected: "a JSON object",
      got: (cause as Error).message,
      hint,
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as ExampleRecord;
  throw new DataError({ op: `reading ${where}`, expected: "a JSON object", got: "another JSON value" });
}
