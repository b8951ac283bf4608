import { closeSync, existsSync, fstatSync, lstatSync, openSync, readlinkSync, readSync, statSync } from "node:fs";
import { CheckpointError } from "../errors.js";
import { isAnnexLink, STAND_IN_BYTES, standIn } from "../util/stand-in.js";
import { type ByteSource, checkRange, closedError, type MappedFile, mappedSource } from "./byte-source.js";

/**
 * Maps a whole file read-only, however large, or returns undefined where that is impossible. The mapping must live as long as any
 * view of it, and views outlive the source.
 */
export type FileMapper = (path: string) => MappedFile | undefined;

/** One read system call moves at most 2^31 - 1 bytes. */
const MAX_READ = 2 ** 30;

/**
 * Opens a model file on disk: mapped if the mapper can, else read range by range on demand, so that a file of any
 * size opens at once.
 *
 * @throws {CheckpointError} there is no such file, it is not a regular file, or it may not be read.
 */
export function openFileSource(path: string, mapFile?: FileMapper | undefined): ByteSource {
  // Checked before opening: opening a named pipe would wait for a writer.
  const stats = statOf(path);
  if (!stats.isFile()) {
    const got = stats.isDirectory() ? "a folder" : "a device, pipe or socket";
    throw new CheckpointError({ op: `opening ${path}`, expected: "a file", got });
  }
  const fd = fileOperation(`opening ${path}`, () => openSync(path, "r"));
  try {
    const size = fstatSync(fd).size;
    refuseStandIn(path, readFully(path, fd, 0, Math.min(size, STAND_IN_BYTES)));
    const mapped = size > 0 ? mapFile?.(path) : undefined;
    if (mapped === undefined) return positionedSource(path, fd, size);
    closeSync(fd);
    return mappedSource(path, mapped);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The parts of Node's `Stats` that are used: projects for browsers lack Node's types. */
export interface FileStatus {
  readonly size: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** @throws {CheckpointError} nothing is there, or it is inaccessible. */
export function statOf(path: string): FileStatus {
  const details = { op: `opening ${path}`, expected: "a readable file" };
  return fileOperation(details.op, () => {
    if (!existsSync(path) && lstatSync(path).isSymbolicLink() && isAnnexLink(readlinkSync(path))) {
      const hint = "Fetch the file itself with `git annex get`";
      throw new CheckpointError({ ...details, got: "a git-annex link without its content", hint });
    }
    return statSync(path);
  });
}

/** Whether the path is a file, folder or link, even a broken link: opening that gives the error. */
export function isHere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** @throws {CheckpointError} the file is a pointer to another file, or a web page. */
function refuseStandIn(path: string, start: Uint8Array): void {
  const found = standIn(start);
  if (found === undefined) return;
  throw new CheckpointError({ op: `opening ${path}`, expected: "the file itself", got: found.kind, hint: found.hint });
}

function positionedSource(name: string, fd: number, size: number): ByteSource {
  let open = true;
  return {
    name,
    size,
    inMemory: false,
    bytes(offset, length) {
      if (!open) throw closedError(name);
      checkRange(this, offset, length);
      return fileOperation(`reading ${name}`, () => readFully(name, fd, offset, length));
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function readFully(name: string, fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(fd, bytes, done, Math.min(length - done, MAX_READ), offset + done);
    if (count === 0) {
      throw new CheckpointError({
        op: `reading ${name}`,
        expected: `${length} bytes at ${offset}`,
        got: `${done}`,
        hint: "The file was truncated while it was open",
      });
    }
    done += count;
  }
  return bytes;
}

/** Calls a file-system function and turns its failure into a CheckpointError with a hint. */
export function fileOperation<T>(op: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw fileError(op, error);
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "a path that runs through a file",
  EACCES: "no permission to read it",
  EPERM: "no permission to read it",
  ELOOP: "a symbolic link that leads to itself",
  ENAMETOOLONG: "a name that is too long",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  EIO: "a failing disk",
  EISDIR: "a folder",
};

function fileError(op: string, cause: unknown): CheckpointError {
  const { code = "", message = String(cause) } = cause as { code?: string; message?: string };
  const tooLong = "a range longer than an array of this JavaScript engine";
  const got = cause instanceof RangeError ? tooLong : (FILE_ERRORS[code] ?? message);
  return new CheckpointError({ op, expected: "a readable file", got, cause });
}
