import { jsonlFiles } from "../../data/examples/prepare-examples.js";
import { readLines } from "../../data/examples/read-lines.js";
import { DataError, UsageError } from "../../errors.js";
import type { Pair } from "../../tasks/pairs.js";

/** `input=output` of a flag: at the first `=`, spaces around it or not. @throws {UsageError} it is none. */
export function readPair(flag: string, text: string): Pair {
  const at = text.indexOf("=");
  const pair = [text.slice(0, Math.max(0, at)).trim(), text.slice(at + 1).trim()] as const;
  if (at > 0 && pair[0] !== "" && pair[1] !== "") return pair;
  throw new UsageError({ op: flag, expected: '"input=output"', got: JSON.stringify(text) });
}

/**
 * Pairs of flags, then those of files: JSONL of `{ "input", "output" }`. Undefined if there is neither.
 *
 * @throws {UsageError} malformed flags; {@link DataError} malformed files.
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
      const got = `the fields ${Object.keys(record).join(", ") || "of nothing"}`;
      throw new DataError({ op: `reading ${where}`, expected: '"input" and "output", both text', got });
    }
    pairs.push([input, output]);
  }
  return pairs;
}
