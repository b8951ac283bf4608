import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { GPT2Error, UsageError } from "../errors.js";
import { typedWriteSync, writeError } from "../util/file-errors.js";
import { tryLock } from "../util/file-lock.js";

const LOCK_FILE = ".lock";
/** Fallback for systems without locks: made by one process, and respected by others until it is removed. */
const FALLBACK_FILE = ".lock-by-name";

/**
 * Keeps two runs from training into one folder, in this process or another. The system releases the lock when its process ends
 * ({@link tryLock}). Without locks in the system or file system, a file serves instead; a killed process leaves it behind, and
 * the message then says what to remove.
 *
 * @returns a function that releases the folder
 * @throws {UsageError} another run uses it; {@link GPT2Error} it can't be written to
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, LOCK_FILE);
  const lock = typedWriteSync(`writing to ${folder}`, GPT2Error, () => tryLock(path));
  if (lock === undefined) throw inUse(folder, path, "Wait for it to end, or choose another folder");
  if (!lock.exclusive) {
    lock.remove();
    return lockByName(folder);
  }
  // For processes that find it held.
  ftruncateSync(lock.fd);
  writeSync(lock.fd, `process ${process.pid} on ${hostname()}\n`, 0);
  return () => lock.remove();
}

function lockByName(folder: string): () => void {
  const path = join(folder, FALLBACK_FILE);
  try {
    const fd = openSync(path, "wx");
    writeSync(fd, `process ${process.pid} on ${hostname()}\n`);
    closeSync(fd);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
      throw inUse(folder, path, `Wait for it to end; if it is gone, remove ${path}`);
    }
    throw writeError(cause, `writing to ${folder}`, GPT2Error);
  }
  return () => rmSync(path, { force: true });
}

function inUse(folder: string, path: string, hint: string): UsageError {
  let holder = "";
  try {
    holder = readFileSync(path, "utf8").trim();
  } catch {
    // Windows lets nobody read it.
  }
  const got = holder === "" ? "another run in it" : `${holder} in it`;
  return new UsageError({ op: `training into ${folder}`, expected: "a folder that no other run is using", got, hint });
}
