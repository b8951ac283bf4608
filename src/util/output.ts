import { constants, type Stats } from "node:fs";
import { access, mkdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { type ErrorClass, isFileError, typedWrite } from "./file-errors.js";

/**
 * The destination of a path to be written. A regular file is replaced as a whole; anything else is written
 * into, as by `cp`: a device, a pipe or a mounted file must not be replaced.
 */
export type Output =
  | { readonly kind: "file"; readonly path: string; readonly there: Stats | undefined }
  /** A regular file that can't be replaced, because it is a mount point. */
  | { readonly kind: "in place"; readonly path: string }
  /** A character device or FIFO. */
  | { readonly kind: "stream"; readonly path: string; readonly isPipe: boolean }
  /** An open file of this process: /dev/stdout, or /dev/fd/63 of a shell's `>(…)`. */
  | { readonly kind: "descriptor"; readonly fd: number };

/** @throws an error of `errorClass`: nothing can be written there, for example to a folder or a block device. */
export async function outputAt(path: string, errorClass: ErrorClass): Promise<Output> {
  const fd = descriptorOf(path);
  if (fd !== undefined) return { kind: "descriptor", fd };
  const target = await finalPath(path);
  const there = await statIfThere(target);
  if (there === undefined) return { kind: "file", path: target, there };
  if (there.isFile()) {
    return (await isMountPoint(target)) ? { kind: "in place", path: target } : { kind: "file", path: target, there };
  }
  if (there.isFIFO() || there.isCharacterDevice()) return { kind: "stream", path: target, isPipe: there.isFIFO() };
  const got = there.isDirectory() ? "a folder" : there.isSocket() ? "a socket" : "a block device";
  throw new errorClass({ op: `writing ${path}`, expected: "a file, or an unused name", got });
}

/** Checks before any work that a file can be written, as far as that can be known. @throws an error of `errorClass` */
export async function checkOutput(path: string, errorClass: ErrorClass): Promise<void> {
  await typedWrite(`writing ${path}`, errorClass, async () => {
    const output = await outputAt(path, errorClass);
    if (output.kind === "file" && output.there === undefined) await access(dirname(output.path), constants.W_OK);
  });
}

/** Whether output written to a path can be read back: false for devices, pipes and open files of this process. */
export async function isRegularOutput(path: string, errorClass: ErrorClass): Promise<boolean> {
  const { kind } = await outputAt(path, errorClass);
  return kind === "file" || kind === "in place";
}

const STANDARD: Readonly<Record<string, number>> = { "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2 };

/** The descriptor of an open file. (Reopened, the file behind it would be overwritten from its start.) */
function descriptorOf(path: string): number | undefined {
  if (process.platform === "win32") return undefined;
  const absolute = resolve(path);
  const [, number] = /^(?:\/dev\/fd|\/proc\/self\/fd)\/(\d{1,9})$/.exec(absolute) ?? [];
  return number === undefined ? STANDARD[absolute] : Number(number);
}

/** The target of symbolic links, even if nothing exists there. */
export async function finalPath(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isFileError(error) && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether the path is on another device than its parent or, for bind mounts of the same device, in the kernel's list. */
export async function isMountPoint(path: string): Promise<boolean> {
  const [own, parent] = [await stat(path), await stat(dirname(path))];
  if (own.dev !== parent.dev) return true;
  if (process.platform !== "linux") return false;
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  // proc(5): the fifth field, with white space and backslashes as octal numbers.
  return mounts.split("\n").some((line) => {
    const field = line.split(" ", 5)[4] ?? "";
    return (
      field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))) === path
    );
  });
}

/** Makes a folder and its parents. (Node's recursive mkdir reports a read-only file system as a missing folder.) */
export async function makeFolder(path: string): Promise<void> {
  if ((await statIfThere(path))?.isDirectory()) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  try {
    await mkdir(path);
  } catch (error) {
    const isThere = isFileError(error) && error.code === "EEXIST" && (await statIfThere(path))?.isDirectory();
    if (!isThere) throw error;
  }
}

/** Whether this process's working folder is the folder or below it. */
export function holdsWorkingFolder(folder: string): boolean {
  const here = process.cwd();
  return here === folder || here.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
