import { createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { DataError } from "../errors.js";
import { isFileError, readError } from "../util/file-errors.js";
import { byteStream } from "./byte-stream.js";
import type { Input } from "./inputs.js";

/**
 * Runs `use` on inputs that can be read more than once. Pipes (a FIFO, a shell's `<(…)`) are copied to a temporary folder, which
 * is removed afterwards.
 *
 * @throws {DataError} a pipe can't be read, or its copy can't be written.
 */
export async function withCopies<T>(
  inputs: readonly string[],
  use: (inputs: readonly Input[]) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const folder = await temporaryFolder(inputs);
  if (folder === undefined) return use(inputs);
  try {
    const copied: Input[] = [];
    for (const [i, path] of inputs.entries()) {
      const copy = join(folder, `${i}`);
      copied.push((await isPipe(path)) ? { path, copy } : path);
      if (typeof copied[i] !== "string") await copyPipe(path, copy, signal);
    }
    return await use(copied);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Undefined if there is no pipe. */
async function temporaryFolder(inputs: readonly string[]): Promise<string | undefined> {
  for (const path of inputs) if (await isPipe(path)) return mkdtemp(join(tmpdir(), "gpt2-input-"));
  return undefined;
}

/** Whether a path is neither a file nor a folder. A missing file is reported by its reader. */
async function isPipe(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
}

async function copyPipe(path: string, copy: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pipeline(byteStream(path), createWriteStream(copy), signal ? { signal } : {});
  } catch (cause) {
    if (!isFileError(cause)) throw cause;
    throw readError(cause, `copying ${path} to ${copy}`, "a readable pipe and room for its text", DataError);
  }
}
