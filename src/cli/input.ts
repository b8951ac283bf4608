import { fstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { UsageError } from "../errors.js";

/**
 * The text of a command, in UTF-8: its arguments, joined by spaces; else the file of `--file`, where `-` is standard
 * input; else what is piped in; else undefined.
 *
 * @throws {UsageError} both text and a file, or a file that can't be read.
 */
export async function readInput(words: readonly string[], file: string | undefined): Promise<Uint8Array | undefined> {
  if (words.length > 0 && file !== undefined) {
    throw new UsageError({ op: "--file", expected: "either a file or a text", got: "both" });
  }
  if (words.length > 0) return new TextEncoder().encode(words.join(" "));
  if (file === "-" || (file === undefined && isPiped())) return readStandardInput();
  return file === undefined ? undefined : readText(file);
}

/** Whether standard input is a pipe or a file, and not a terminal or nothing at all. */
function isPiped(): boolean {
  try {
    const stats = fstatSync(0);
    return stats.isFIFO() || stats.isFile() || stats.isSocket();
  } catch {
    return false;
  }
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function readText(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException;
    const got = { ENOENT: "no such file", EISDIR: "a folder", EACCES: "no permission to read it" }[code] ?? message;
    throw new UsageError({ op: `reading ${file}`, expected: "a text file", got, cause });
  }
}
