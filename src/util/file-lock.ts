import { closeSync, constants, fstatSync, openSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemCalls } from "./system-calls.js";

/**
 * A lock that the system releases when its holder ends, however it ends, and that works across pid namespaces, host names
 * and threads of one process: it belongs to an open file, not to a process id.
 *
 * - Linux, macOS, BSD: flock(2), as used by Python's filelock and therefore by huggingface_hub.
 * - Windows: the file is opened without sharing.
 *
 * Limits: without koffi there is no flock, and some network file systems lack it (Lustre mounted without `flock`); on NFS
 * a lock holds between machines only if the server supports locks. `exclusive` says whether the lock is real.
 */
export interface FileLock {
  /** Whether nobody else can hold the lock; false where the system or file system has no locks. */
  readonly exclusive: boolean;
  /** The open lock file: its text tells others who holds the lock. */
  readonly fd: number;
  /** Releases the lock; the file stays. */
  release(): void;
  /** Releases the lock and removes its file. */
  remove(): void;
}

const LOCK_EX = 2;
const LOCK_NB = 4;
/** libuv's UV_FS_O_EXLOCK on Windows, which fs.constants lacks: open with share mode 0. */
const WINDOWS_EXCLUSIVE = 0x10000000;
const isWindows = process.platform === "win32";

/**
 * Takes the lock of a file if nobody holds it.
 *
 * @param create creates a missing file; group-writable, as in huggingface_hub, so that users of a common cache can
 *   wait for each other
 * @returns undefined if another holds it
 * @throws the file system's error if the file can't be opened
 */
export function tryLock(path: string, create = true): FileLock | undefined {
  for (;;) {
    const fd = openLock(path, create);
    if (fd === undefined) return undefined;
    const state = isWindows ? "done" : (systemCalls().flock?.(fd, LOCK_EX | LOCK_NB) ?? "unsupported");
    if (state === "held") {
      closeSync(fd);
      return undefined;
    }
    // A holder may have removed the file before releasing it: a lock on an unlinked file excludes nobody.
    if (state === "done" && !isWindows && fstatSync(fd).nlink === 0) {
      closeSync(fd);
      continue;
    }
    return lockOf(path, fd, state === "done");
  }
}

function openLock(path: string, create: boolean): number | undefined {
  const { O_RDWR, O_CREAT, O_NOFOLLOW = 0 } = constants;
  const flags = O_RDWR | (create ? O_CREAT : 0) | (isWindows ? WINDOWS_EXCLUSIVE : O_NOFOLLOW);
  try {
    return openSync(path, flags, 0o664);
  } catch (error) {
    if (isWindows && (error as NodeJS.ErrnoException).code === "EBUSY") return undefined;
    throw error;
  }
}

function lockOf(path: string, fd: number, exclusive: boolean): FileLock {
  const remove = (): void => rmSync(path, { force: true });
  return {
    exclusive,
    fd,
    release: () => closeSync(fd),
    remove: () => {
      // Removed while the lock is held, so that nobody's new lock is removed; Windows can't remove an open file.
      if (!isWindows) remove();
      closeSync(fd);
      if (isWindows) remove();
    },
  };
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once if another program holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

const POLL_MS = 200;

/**
 * Calls `run` while holding the lock of a file, which is created if need be and not removed. If the file can't be created or the
 * system has no locks, `run` is called all the same: this lock only saves work.
 *
 * @param run called with whether the lock is exclusive
 */
export async function withFileLock<T>(
  path: string,
  { signal, onWait }: WaitOptions,
  run: (exclusive: boolean) => Promise<T>,
): Promise<T> {
  const lock = await waitForLock(path, signal, onWait);
  try {
    return await run(lock?.exclusive ?? false);
  } finally {
    lock?.release();
  }
}

async function waitForLock(
  path: string,
  signal: AbortSignal | undefined,
  onWait: (() => void) | undefined,
): Promise<FileLock | undefined> {
  await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
  for (let waits = 0; ; waits++) {
    let lock: FileLock | undefined;
    try {
      lock = tryLock(path);
    } catch {
      return undefined;
    }
    if (lock) return lock;
    if (waits === 0) onWait?.();
    await sleep(POLL_MS, undefined, signal && { signal });
  }
}
