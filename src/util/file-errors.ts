import { type ErrorDetails, GPT2Error } from "../errors.js";

export type ErrorClass = new (details: ErrorDetails) => GPT2Error;

const ANOTHER_FOLDER = "Choose another folder";
const FREE_SPACE = "Free some space, or choose another folder";

const CAUSES: Readonly<Record<string, readonly [got: string, hint?: string]>> = {
  ENOSPC: ["a full disk", FREE_SPACE],
  EDQUOT: ["an exhausted disk quota", FREE_SPACE],
  EFBIG: ["a file larger than is allowed here", "Raise the limit (ulimit -f), or write smaller files"],
  EACCES: ["no permission", ANOTHER_FOLDER],
  EPERM: ["no permission", ANOTHER_FOLDER],
  EROFS: ["a read-only file system", ANOTHER_FOLDER],
  ENOENT: ["no such folder", "Create it first"],
  ENOTDIR: ["a path that runs through a file", "Choose another path"],
  EISDIR: ["a folder", "Choose another path"],
  ENOTEMPTY: ["a folder that another program wrote meanwhile", "Try again"],
  EEXIST: ["a file that another program wrote meanwhile", "Try again"],
  EXDEV: ["a mount point", "Choose a folder inside it"],
  EBUSY: ["a file or folder that is in use", "Close the program that uses it, or choose another path"],
  EPIPE: ["a reader that ended before the output did"],
  ENXIO: ["a socket, or a missing device", "Choose a file"],
  ENAMETOOLONG: ["a name that is too long", "Choose a shorter name"],
  ELOOP: ["a loop of symbolic links", "Choose another path"],
  EMFILE: ["too many open files", "Raise the limit (ulimit -n)"],
  ENFILE: ["too many open files on this machine"],
  ENOTSUP: ["a device, pipe or socket there", "Choose another path"],
  EIO: ["a disk input/output error"],
};

const NO_PERMISSION = ["no permission to read it", "Change its permissions"] as const;
const READING: Readonly<Record<string, readonly [got: string, hint?: string]>> = {
  ENOENT: ["no such file", "Check the path"],
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
};

/** Whether an error comes from the file system, and not from a mistake in a program. */
export function isFileError(error: unknown): error is Error & { readonly code?: string } {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && typeof code === "string" && typeof syscall === "string";
}

/** Describes a file system error during reading. */
export function readFailure(cause: unknown): string {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  return (READING[code] ?? CAUSES[code])?.[0] ?? message;
}

/** A hint for a file system error during reading. */
export const readHint = (cause: unknown): string | undefined =>
  READING[(cause as NodeJS.ErrnoException).code ?? ""]?.[1];

/** A file system error during reading, as an error of the caller's class. */
export function readError<E extends GPT2Error>(
  cause: unknown,
  op: string,
  expected: string,
  errorClass: new (details: ErrorDetails) => E,
): E {
  const hint = readHint(cause);
  return new errorClass({ op, expected, got: readFailure(cause), ...(hint !== undefined && { hint }), cause });
}

/** A file system error during writing, as one of the caller's class; other errors unchanged. */
export function writeError(cause: unknown, op: string, errorClass: ErrorClass): unknown {
  if (cause instanceof GPT2Error || !isFileError(cause)) return cause;
  const [got, hint] = CAUSES[cause.code!] ?? [cause.message];
  return new errorClass({ op, expected: "to write there", got, ...(hint !== undefined && { hint }), cause });
}

/** Calls `run`; its file system errors become errors of the caller's class. */
export async function typedWrite<T>(op: string, errorClass: ErrorClass, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw writeError(cause, op, errorClass);
  }
}

/** {@link typedWrite} for synchronous calls. */
export function typedWriteSync<T>(op: string, errorClass: ErrorClass, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw writeError(cause, op, errorClass);
  }
}
