import { fstatSync } from "node:fs";
import { DataError, UsageError } from "../errors.js";
import { note } from "./output.js";

/** The source of a text: arguments, else a file (`-`: standard input), else standard input if it is piped. */
export interface TextSource {
  readonly words: readonly string[];
  readonly file?: string | undefined;
}

/**
 * A command's text in UTF-8: its arguments, joined by spaces; else the file of `--file`, where `-` is standard input; else
 * standard input if it is piped; else undefined. A file may be compressed by gzip or zstd.
 *
 * @throws {UsageError} both arguments and a file, or a file that can't be read or is no text.
 */
export async function readInput({ words, file }: TextSource): Promise<Uint8Array | undefined> {
  if (words.length > 0 && file !== undefined) {
    throw new UsageError({ op: "--file", expected: "either a file or a text", got: "both" });
  }
  if (words.length > 0) return new TextEncoder().encode(words.join(" "));
  if (file === undefined && !isPiped()) return undefined;
  return asArgument(async () => {
    // Loaded on demand: most commands read no file.
    if (file !== undefined && file !== "-") return (await import("../data/read-input.js")).readTextFile(file);
    const [bytes, { textBytes }] = [await readStandardInput(), await import("../data/text.js")];
    return textBytes(bytes, "standard input");
  });
}

/**
 * {@link readInput} as a string, without the line break that editors and `echo` add at the end of a file or pipe.
 *
 * @throws {UsageError} as readInput, or only white space: `expected` says what is missing.
 */
export async function readText(source: TextSource, op: string, expected: string): Promise<string> {
  const text = await readPrompt(source);
  if (text.trim() !== "") return text;
  throw new UsageError({ op, expected, got: "none" });
}

/** {@link readText}, but the text may be empty. */
export async function readPrompt(source: TextSource): Promise<string> {
  const text = new TextDecoder().decode((await readInput(source)) ?? new Uint8Array(0));
  return source.words.length > 0 ? text : text.replace(/\r?\n$/, "");
}

/** Whether standard input is a pipe, a file, or a stream put in its place, rather than a terminal or closed. */
function isPiped(): boolean {
  const { fd } = process.stdin as { readonly fd?: number };
  if (fd === undefined) return true;
  try {
    const stats = fstatSync(fd);
    return stats.isFIFO() || stats.isFile() || stats.isSocket();
  } catch {
    return false;
  }
}

/** Milliseconds of silence after which a command on a terminal says what it waits for. */
const SILENCE_MS = 2000;

async function readStandardInput(): Promise<Uint8Array> {
  const typed = process.stdin.isTTY === true;
  const tell = () => note(`waiting for standard input${typed ? " (Ctrl-D ends it)" : ""}`);
  const timer = process.stderr.isTTY ? setTimeout(tell, typed ? 0 : SILENCE_MS) : undefined;
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** Turns errors of reading into errors of the argument. */
async function asArgument<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DataError) throw new UsageError(error.details);
    throw error;
  }
}
