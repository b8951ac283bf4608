import { constants, type Stats } from "node:fs";
import { access, mkdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { type ErrorClass, isFileError, typedWrite } from "./file-errors.js";

/**
 * Where a path that is to be written leads. A regular file is replaced as a whole; what is no regular file is written
 * into, as `cp` does: nothing else may be put in the place of a device, a pipe or a mounted file.
 */
export type Output =
  | { readonly kind: "file"; readonly path: string; readonly there: Stats | undefined }
  /** A regular file that can't be replaced, as it is a mount point. */
  | { readonly kind: "in place"; readonly path: string }
  /** A character device or FIFO. */
  | { readonly kind: "stream"; readonly path: string; readonly isPipe: boolean }
  /** An open file of this process: /dev/stdout, /dev/fd/63 of a shell's `>(…)`. */
  | { readonly kind: "descriptor"; readonly fd: number };

/** @throws an error of `errorClass`: nothing can be written there, as for a folder or a block device. */
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
  throw new errorClass({ op: `writing ${path}`, expected: "a file, or nothing, there", got });
}

/** Says before any work that a file can't be written, as far as that can be known. @throws an error of `errorClass` */
export async function checkOutput(path: string, errorClass: ErrorClass): Promise<void> {
  await typedWrite(`writing ${path}`, errorClass, async () => {
    const output = await outputAt(path, errorClass);
    if (output.kind === "file" && output.there === undefined) await access(dirname(output.path), constants.W_OK);
  });
}

/** Whether what is written to a path can be read again there: false for devices, pipes and open files of this process. */
export async function isRegularOutput(path: string, errorClass: ErrorClass): Promise<boolean> {
  const { kind } = await outputAt(path, errorClass);
  return kind === "file" || kind === "in place";
}

const STANDARD: Readonly<Record<string, number>> = { "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2 };

/** Opened anew, the file behind one would be written over from its start. */
function descriptorOf(path: string): number | undefined {
  if (process.platform === "win32") return undefined;
  const absolute = resolve(path);
  const [, number] = /^(?:\/dev\/fd|\/proc\/self\/fd)\/(\d{1,9})$/.exec(absolute) ?? [];
  return number === undefined ? STANDARD[absolute] : Number(number);
}

/** What symbolic links lead to, also if nothing is there. */
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

/** Another device than its parent's, or for mounts of one device (Linux's bind mounts) what the kernel lists. */
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

/** Makes a folder and its parents. Node's own recursive mkdir reports a read-only file system as a folder that is missing. */
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

/** Whether this process works in the folder or below it. */
export function holdsWorkingFolder(folder: string): boolean {
  const here = process.cwd();
  return here === folder || here.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
