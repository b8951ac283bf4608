import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { type FileHandle, mkdir, open, readdir, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError, type ErrorDetails, GPT2Error } from "../errors.js";

/**
 * Files and folders that are either the old or the new ones, whole, whatever happens in between: written beside the
 * target under a temporary name, flushed to disk, then renamed over it.
 */

export type ErrorClass = new (details: ErrorDetails) => GPT2Error;

/** A file being written; any part in any order, parts left out are zeros. */
export interface PositionedFile {
  write(bytes: Uint8Array, position: number): Promise<void>;
}

/**
 * Writes a file whole or not at all. A symbolic link at `path` stays one: what it leads to is replaced.
 *
 * @param content the bytes, or what writes them.
 * @throws an error of `errorClass` if the file system refuses (disk full, no permission, …); what `content` throws.
 */
export async function writeFileAtomically(
  path: string,
  content: Uint8Array | string | ((file: PositionedFile) => Promise<void>),
  errorClass: ErrorClass = CheckpointError,
): Promise<void> {
  await typedErrors(path, errorClass, async () => {
    const target = await finalPath(path);
    if ((await statIfThere(target))?.isDirectory()) {
      throw new errorClass({ op: `writing ${path}`, expected: "a file, or nothing, there", got: "a folder" });
    }
    await removeStale(target);
    const temporary = temporaryName(target, "tmp");
    try {
      await writeNewFile(temporary, content);
      await rename(temporary, target);
    } catch (error) {
      await discard(temporary);
      throw error;
    } finally {
      ours.delete(basename(temporary));
    }
    await syncFolder(dirname(target));
  });
}

/** Writes and flushes a file that nobody looks at yet, such as one inside a folder being written atomically. */
export async function writeNewFile(
  path: string,
  content: Uint8Array | string | ((file: PositionedFile) => Promise<void>),
): Promise<void> {
  const handle = await open(path, "wx");
  try {
    if (typeof content === "function") await content({ write: (bytes, at) => writeAt(handle, bytes, at) });
    else await writeAt(handle, typeof content === "string" ? new TextEncoder().encode(content) : content, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** One write system call moves at most 2^31 - 1 bytes. */
const MAX_WRITE = 2 ** 30;

/** Writes all of `bytes`, however many calls it takes. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_WRITE);
    const { bytesWritten } = await handle.write(bytes, done, length, position + done);
    done += bytesWritten;
  }
}

export interface FolderOptions {
  readonly errorClass?: ErrorClass;
  /**
   * What becomes of a folder that is already there. `replace`: it is swapped for the new one; between the two renames
   * of the swap a kill leaves neither under its name, which the next write or {@link recoverFolder} puts right. `merge`:
   * each new file replaces its namesake, and the rest stays; atomic for each file, not for all of them together.
   */
  readonly existing?: "replace" | "merge";
}

/**
 * Writes a folder whole or not at all.
 *
 * @param fill writes the files into the folder whose path it is given.
 * @throws an error of `errorClass` if the file system refuses (disk full, no permission, …); what `fill` throws.
 */
export async function writeFolderAtomically(
  path: string,
  fill: (temporary: string) => Promise<void>,
  { errorClass = CheckpointError, existing = "replace" }: FolderOptions = {},
): Promise<void> {
  await typedErrors(path, errorClass, async () => {
    const target = await finalPath(path);
    const there = await statIfThere(target);
    if (there !== undefined && !there.isDirectory()) {
      throw new errorClass({ op: `writing ${path}`, expected: "a folder, or nothing, there", got: "a file" });
    }
    await mkdir(dirname(target), { recursive: true });
    await recoverFolder(target);
    await removeStale(target);
    const temporary = temporaryName(target, "tmp");
    try {
      await mkdir(temporary);
      await fill(temporary);
      await syncTree(temporary);
      await (existing === "merge" ? mergeInto(target, temporary) : swap(target, temporary));
    } catch (error) {
      await discard(temporary);
      throw error;
    } finally {
      ours.delete(basename(temporary));
    }
    await syncFolder(dirname(target));
  });
}

/** Removes a folder so that whoever is killed meanwhile leaves it whole, or under a name that counts as temporary. */
export async function removeFolderAtomically(path: string): Promise<void> {
  const temporary = temporaryName(resolve(path), "tmp");
  try {
    await rename(path, temporary);
    await rm(temporary, { recursive: true, force: true });
  } finally {
    ours.delete(basename(temporary));
  }
}

/** Removes what a failed write left, and leaves the failure itself to be reported. */
async function discard(temporary: string): Promise<void> {
  await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
}

async function swap(target: string, temporary: string): Promise<void> {
  if ((await statIfThere(target)) === undefined) return rename(temporary, target);
  const old = temporaryName(target, "old");
  await rename(target, old);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
  ours.delete(basename(old));
}

async function mergeInto(target: string, temporary: string): Promise<void> {
  if ((await statIfThere(target)) === undefined) return rename(temporary, target);
  for (const name of await readdir(temporary)) await rename(join(temporary, name), join(target, name));
  await rmdir(temporary);
  await syncFolder(target);
}

/**
 * Puts back the folder that a process killed in the middle of a `replace` had moved aside, if there is one and nothing
 * has taken its name. For readers of folders that are written again and again under one name.
 */
export async function recoverFolder(path: string): Promise<void> {
  const target = resolve(path);
  if ((await statIfThere(target)) !== undefined) return;
  const [name] = await abandoned(target, ["old"]);
  if (name !== undefined) await rename(join(dirname(target), name), target);
}

/** Whether a file or folder is a half-written one: listings of checkpoints leave these out. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/** `.name.tmp-host-pid-random` names its maker, so that what a killed process left is known from work under way. */
const TEMPORARY = /^\..+\.(tmp|old)-([0-9a-z]+)-(\d+)-[0-9a-f]+$/;
/** This process's own. (In a container that was restarted, a killed process may well have had the same id.) */
const ours = new Set<string>();

function temporaryName(target: string, kind: "tmp" | "old"): string {
  const random = randomBytes(6).toString("hex");
  const name = `.${basename(target)}.${kind}-${hostKey()}-${process.pid}-${random}`;
  ours.add(name);
  return join(dirname(target), name);
}

/** FNV-1a of the host's name: process ids mean nothing on another machine that shares the disk. */
function hostKey(): string {
  let hash = 0x811c9dc5;
  for (const c of hostname()) hash = Math.imul(hash ^ c.codePointAt(0)!, 0x01000193);
  return (hash >>> 0).toString(36);
}

async function removeStale(target: string): Promise<void> {
  const kinds = (await statIfThere(target)) === undefined ? ["tmp"] : ["tmp", "old"];
  for (const name of await abandoned(target, kinds)) {
    await rm(join(dirname(target), name), { recursive: true, force: true });
  }
}

/** Names of what processes of this machine that no longer run left beside `target`. */
async function abandoned(target: string, kinds: readonly string[]): Promise<string[]> {
  const prefix = `.${basename(target)}.`;
  const names = await readdir(dirname(target)).catch(() => []);
  return names.filter((name) => {
    const [, kind, host, pid] = TEMPORARY.exec(name) ?? [];
    if (kind === undefined || !kinds.includes(kind) || !name.startsWith(`${prefix}${kind}-`)) return false;
    if (host !== hostKey()) return false;
    return Number(pid) === process.pid ? !ours.has(name) : !isRunning(Number(pid));
  });
}

function isRunning(pid: number): boolean {
  try {
    // Signal 0 is never delivered: it only asks.
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function finalPath(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncPath(path);
  }
  await syncFolder(folder);
}

/** A rename is on disk only once its folder is. Windows has no such call, and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== "win32") await syncPath(folder);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const HINTS: Readonly<Record<string, readonly [got: string, hint: string]>> = {
  ENOSPC: ["a full disk", "Free some space, or choose another folder"],
  EDQUOT: ["a used-up disk quota", "Free some space, or choose another folder"],
  EFBIG: ["a file larger than is allowed here", "Raise the limit (ulimit -f), or write smaller files"],
  EACCES: ["no permission to write there", "Choose another folder"],
  EPERM: ["no permission to write there", "Choose another folder"],
  EROFS: ["a read-only file system", "Choose another folder"],
  ENOENT: ["no such folder", "Create it first"],
  ENOTDIR: ["a path that runs through a file", "Choose another path"],
};

/** Failures of the file system become errors of the caller's class; anything else passes. */
async function typedErrors(path: string, errorClass: ErrorClass, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    const { code, syscall, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof GPT2Error || code === undefined || syscall === undefined) throw cause;
    const [got, hint] = HINTS[code] ?? [message, undefined];
    const details = { op: `writing ${path}`, expected: "to write there", got, cause };
    throw new errorClass(hint === undefined ? details : { ...details, hint });
  }
}
