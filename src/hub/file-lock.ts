import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * flock(2), as Python's filelock and so huggingface_hub use it: two programs that fetch the same file take turns, and the
 * system ends a lock with its process. Node has no call for it; koffi, which is there for the kernels, lends one.
 *
 * A lock saves work and nothing else: files are whole and right without it.
 */
export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, if another program holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const POLL_MS = 200;

/**
 * Runs `run` while holding the lock of a file, which is made and left there.
 *
 * @param run told whether nobody else can be in it: false where the system or file system has no such locks.
 */
export async function withFileLock<T>(
  path: string,
  { signal, onWait }: LockOptions,
  run: (exclusive: boolean) => Promise<T>,
): Promise<T> {
  const flock = flockFunction();
  const fd = flock && (await acquire(path, flock, signal, onWait));
  try {
    return await run(fd !== undefined);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

type Flock = (fd: number, operation: number) => "done" | "held" | "unsupported";
let known: Flock | null | undefined;

function flockFunction(): Flock | undefined {
  if (known === undefined) known = process.platform === "win32" ? null : loadFlock();
  return known ?? undefined;
}

function loadFlock(): Flock | null {
  try {
    const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
    // The C library that this process itself is linked to.
    const flock = koffi.load(null).func("int flock(int fd, int operation)");
    const { EAGAIN, EACCES } = koffi.os.errno;
    return (fd, operation) => {
      if (flock(fd, operation) === 0) return "done";
      const errno = koffi.errno();
      return errno === EAGAIN || errno === EACCES ? "held" : "unsupported";
    };
  } catch {
    return null;
  }
}

/** The descriptor whose closing gives the lock back; undefined where it can't be had. */
async function acquire(path: string, flock: Flock, signal: AbortSignal | undefined, onWait?: () => void) {
  await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
  for (let waits = 0; ; waits++) {
    const fd = openLock(path);
    if (fd === undefined) return undefined;
    const state = flock(fd, LOCK_EX | LOCK_NB);
    // A holder may have removed the file before giving it back: a lock on a file without a name is nobody's.
    if (state === "done" && fstatSync(fd).nlink > 0) return fd;
    closeSync(fd);
    if (state === "unsupported") return undefined;
    if (state === "held" && waits === 0) onWait?.();
    if (state === "held") await sleep(POLL_MS, undefined, signal && { signal });
  }
}

/** Group-writable as huggingface_hub makes them, so that users of a common cache can wait for each other. */
function openLock(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0), 0o664);
  } catch {
    return undefined;
  }
}
