import { constants, write } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CheckpointError, type ErrorDetails, GPT2Error } from "../errors.js";
import { type ErrorClass, typedWrite } from "./file-errors.js";
import {
  finalPath,
  holdsWorkingFolder,
  isMountPoint,
  makeFolder,
  type Output,
  outputAt,
  statIfThere,
} from "./output.js";
import { rename } from "./rename.js";
import { type Existing, exchangeFolder, planMove, takeAttributes } from "./replace-folder.js";
import { recover, Workspace } from "./workspace.js";

export type { ErrorClass } from "./file-errors.js";

/**
 * Files and folders that are either completely old or completely new, whatever interrupts the write: they are written into a
 * temporary folder beside the target ({@link Workspace}), flushed to disk, then renamed.
 */

/** A file being written; parts may come in any order, and gaps are zeros. */
export interface PositionedFile {
  write(bytes: Uint8Array, position: number): Promise<void>;
}

export type Content = Uint8Array | string | ((file: PositionedFile) => Promise<void>);

/**
 * Writes a file completely or not at all. A symbolic link at `path` stays: its target is replaced. Anything that is not a
 * regular file (a device, a FIFO, /dev/stdout) is written into, once all of the content is ready; so is a file that can't be
 * replaced, as it is a mount point or in a folder where no file can be created.
 *
 * @param content the bytes, or a function that writes them.
 * @throws an error of `errorClass` if the file system refuses (disk full, no permission, …); any error of `content`.
 */
export async function writeFileAtomically(
  path: string,
  content: Content,
  errorClass: ErrorClass = CheckpointError,
): Promise<void> {
  await typedWrite(`writing ${path}`, errorClass, async () => {
    const output = await outputAt(path, errorClass);
    if (output.kind === "file") await replaceFile(output, content);
    else if (output.kind === "in place") await overwriteFile(output.path, content);
    else await writeStream(output, content);
  });
}

async function replaceFile({ path, there }: Output & { kind: "file" }, content: Content): Promise<void> {
  const folder = dirname(path);
  await recover(path);
  const name = basename(path);
  const workspace = await (there ? Workspace.createIfAllowed(folder, name) : Workspace.create(folder, name));
  if (workspace === undefined) return overwriteFile(path, content);
  try {
    await writeNewFile(workspace.new, content);
    // As far as the system allows: the content matters more than the attributes.
    if (there) await takeAttributes(workspace.new, there);
    await rename(workspace.new, path);
  } finally {
    await workspace.dispose();
  }
  await syncFolder(folder);
}

async function overwriteFile(path: string, content: Content): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.truncate(0);
    await fill(handle, content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes content in order, as a pipe needs it; content that comes in another order goes through a temporary file. */
async function writeStream(output: Output & { kind: "stream" | "descriptor" }, content: Content): Promise<void> {
  const folder = typeof content === "function" ? await mkdtemp(join(tmpdir(), "gpt2-output-")) : undefined;
  // Opened only now that all of the content is ready; opening a FIFO waits for a reader.
  let handle: FileHandle | undefined;
  try {
    if (folder !== undefined) await writeNewFile(join(folder, "new"), content);
    if (output.kind === "stream") handle = await openStream(output);
    const fd = handle?.fd ?? (output as { fd: number }).fd;
    if (folder === undefined) await writeToDescriptor(fd, bytesOf(content as Uint8Array | string));
    else await copyToDescriptor(join(folder, "new"), fd);
  } finally {
    await handle?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Waits for a FIFO's reader by polling, because a blocking open occupies a thread of libuv's pool, and then not even
 * `process.exit` can end the process.
 */
async function openStream({ path, isPipe }: Output & { kind: "stream" }): Promise<FileHandle> {
  if (!isPipe) return open(path, "w");
  for (;;) {
    try {
      return await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENXIO") throw error;
    }
    await sleep(50);
  }
}

async function copyToDescriptor(path: string, fd: number): Promise<void> {
  const handle = await open(path, "r");
  try {
    const buffer = new Uint8Array(2 ** 20);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      await writeToDescriptor(fd, buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

async function writeToDescriptor(fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const written = await new Promise<number>((resolve, reject) => {
      write(fd, bytes, done, bytes.length - done, null, (error, n) => {
        // A non-blocking pipe that is full.
        if (error && error.code !== "EAGAIN") reject(error);
        else resolve(error ? 0 : n);
      });
    });
    if (written === 0) await sleep(5);
    done += written;
  }
}

/** Writes and flushes a file that nobody reads yet, such as one inside a folder being written atomically. */
export async function writeNewFile(path: string, content: Content): Promise<void> {
  const handle = await open(path, "wx");
  try {
    await fill(handle, content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function fill(handle: FileHandle, content: Content): Promise<void> {
  if (typeof content === "function") await content({ write: (bytes, at) => writeAt(handle, bytes, at) });
  else await writeAt(handle, bytesOf(content), 0);
}

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** One write system call moves at most 2^31 - 1 bytes. */
const MAX_WRITE = 2 ** 30;

/** The parts of a file handle that are used here. */
interface WritableFile {
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
}

/** Writes all of `bytes`, in as many calls as it takes. */
export async function writeAt(handle: WritableFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_WRITE);
    const { bytesWritten } = await handle.write(bytes, done, length, position + done);
    done += bytesWritten;
  }
}

export interface FolderOptions {
  readonly errorClass?: ErrorClass;
  /** What happens to other files in an existing folder; by default they are removed. */
  readonly existing?: Existing;
}

/**
 * Writes a folder completely or not at all. An existing folder keeps its owner, group and mode.
 *
 * A folder that can't be replaced (a mount point, a folder in one where nothing can be created, or this process's working
 * folder) stays, and the new files are moved into it when all of them are on disk: a kill during the move leaves a record of it,
 * and the next write or {@link recover} finishes it.
 *
 * @param write writes the files into the folder that it is given.
 * @throws an error of `errorClass` if the file system refuses (disk full, no permission, …); any error of `write`, with the
 *   target's name in place of the temporary one.
 */
export async function writeFolderAtomically(
  path: string,
  write: (temporary: string) => Promise<void>,
  { errorClass = CheckpointError, existing = "replace" }: FolderOptions = {},
): Promise<void> {
  await typedWrite(`writing ${path}`, errorClass, async () => {
    const target = await finalPath(path);
    const parent = dirname(target);
    const there = await isFolderThere(target, path, errorClass);
    if (!there) await makeFolder(parent);
    await recover(target);
    const name = basename(target);
    const isFixed = there && (holdsWorkingFolder(target) || (await isMountPoint(target)));
    const beside = isFixed
      ? undefined
      : await (there ? Workspace.createIfAllowed(parent, name) : Workspace.create(parent, name));
    const workspace = beside ?? (await Workspace.create(target, name));
    await inWorkspace(workspace, path, write, async () => {
      if (!(await statIfThere(target))) await rename(workspace.new, target);
      else if (beside === undefined || !(await exchangeFolder(target, workspace, existing))) {
        await workspace.moveInto(target, await planMove(target, workspace.new, existing));
      }
    });
    await syncFolder(beside ? parent : target);
  });
}

export interface FilesOptions {
  readonly errorClass?: ErrorClass;
  /** The file without which the others are useless: it is removed first and appears last. */
  readonly last?: string | undefined;
}

/**
 * Writes several files into a folder that may hold anything else: all of them, or on failure none. A new or empty folder
 * appears with them; otherwise they are moved into it when all are on disk, and a kill during the move leaves a record of it, so that the
 * next write or {@link recover} of `last` finishes it.
 *
 * @throws as {@link writeFolderAtomically}.
 */
export async function writeFilesAtomically(
  folder: string,
  write: (temporary: string) => Promise<void>,
  { errorClass = CheckpointError, last }: FilesOptions = {},
): Promise<void> {
  await typedWrite(`writing ${folder}`, errorClass, async () => {
    const target = await finalPath(folder);
    const there = await isFolderThere(target, folder, errorClass);
    const name = last ?? "files";
    if (there) await recover(join(target, name));
    const isNew = !there || (await readdir(target)).length === 0;
    if (isNew) return writeFolderAtomically(target, write, { errorClass, existing: "merge" });
    const workspace = await Workspace.create(target, name);
    await inWorkspace(workspace, folder, write, async () => {
      await workspace.moveInto(target, await planMove(target, workspace.new, "merge", last));
    });
    await syncFolder(target);
  });
}

async function inWorkspace(
  workspace: Workspace,
  path: string,
  write: (temporary: string) => Promise<void>,
  commit: () => Promise<void>,
): Promise<void> {
  try {
    await mkdir(workspace.new);
    await write(workspace.new);
    await syncTree(workspace.new);
    await commit();
  } catch (error) {
    throw withName(error, workspace.new, path);
  } finally {
    await workspace.dispose();
  }
}

/** An error that names the target instead of the temporary folder. */
function withName(error: unknown, temporary: string, path: string): unknown {
  if (!(error instanceof GPT2Error) || !error.details.op.includes(temporary)) return error;
  const errorClass = error.constructor as new (details: ErrorDetails) => GPT2Error;
  return new errorClass({ ...error.details, op: error.details.op.replaceAll(temporary, path), cause: error });
}

async function isFolderThere(target: string, path: string, errorClass: ErrorClass): Promise<boolean> {
  const there = await statIfThere(target);
  if (there === undefined || there.isDirectory()) return there !== undefined;
  const got = there.isFile() ? "a file" : "a device, pipe or socket";
  throw new errorClass({ op: `writing ${path}`, expected: "a folder, or an unused name", got });
}

/** Removes a folder; a kill meanwhile leaves it complete, or in a workspace that the next write removes. */
export async function removeFolderAtomically(path: string): Promise<void> {
  const workspace = await Workspace.create(dirname(path), basename(path));
  try {
    await rename(path, workspace.removed);
  } finally {
    await workspace.dispose();
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncFolder(folder);
}

/** Errors for folders that can't be flushed: not readable, or on a file system without such a call. */
const NO_FOLDER_SYNC: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EINVAL", "ENOTSUP", "ENOSYS"]);

/** A rename is on disk only once its folder is. Windows has no such call, and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  try {
    await sync(folder, "r");
  } catch (error) {
    if (!NO_FOLDER_SYNC.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** Windows flushes only files open for writing; elsewhere only the owner may be able to write to a file. */
async function syncFile(path: string): Promise<void> {
  await sync(path, process.platform === "win32" ? "r+" : "r");
}

async function sync(path: string, flags: "r" | "r+"): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
