import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { isFileError } from "./file-errors.js";
import { type FileLock, tryLock } from "./file-lock.js";
import { type Move, makeMove, readMove } from "./move-into.js";
import { statIfThere } from "./output.js";
import { rename } from "./rename.js";

/**
 * A temporary folder `.NAME.tmp-RANDOM` in which files are made before they take their place. Its lock distinguishes it from
 * the leftovers of a killed process:
 *
 *     lock      locked while its maker lives
 *     new       the files being written
 *     old       during an exchange: the previous files
 *     removed   files being removed
 *     move      during a move of single entries: the record by which it can be finished
 *
 * Without locks there is no lock file, and nobody removes the leftovers of others.
 */
export class Workspace {
  readonly path: string;
  readonly #lock: FileLock | undefined;
  #moving = false;

  private constructor(path: string, lock: FileLock | undefined) {
    this.path = path;
    this.#lock = lock;
  }

  /** @param name the target's name, for people who find the folder */
  static async create(folder: string, name: string): Promise<Workspace> {
    for (;;) {
      const path = join(folder, `.${name}.tmp-${randomBytes(6).toString("hex")}`);
      await mkdir(path);
      try {
        const lock = tryLock(join(path, LOCK));
        if (lock?.exclusive) return new Workspace(path, lock);
        lock?.remove();
        if (lock) return new Workspace(path, undefined);
      } catch (error) {
        // Another process may have thought the folder abandoned before it was locked: then make another one.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
          await rmdir(path).catch(() => undefined);
          throw error;
        }
      }
    }
  }

  /** A workspace in `folder`; undefined if nothing may be created there. */
  static async createIfAllowed(folder: string, name: string): Promise<Workspace | undefined> {
    try {
      return await Workspace.create(folder, name);
    } catch (error) {
      if (isFileError(error) && FORBIDDEN.has(error.code!)) return undefined;
      throw error;
    }
  }

  get new(): string {
    return join(this.path, "new");
  }

  get old(): string {
    return join(this.path, "old");
  }

  get removed(): string {
    return join(this.path, "removed");
  }

  /**
   * Moves the contents of `new`, all of them on disk, into a folder that can't be replaced as a whole. After a failure or kill
   * the rest stays here, and {@link recover} finishes the move.
   *
   * @param target the folder in which, or beside which, this workspace is
   */
  async moveInto(target: string, move: Move): Promise<void> {
    const into = target === dirname(this.path) ? "." : basename(target);
    const handle = await open(join(this.path, MOVE), "wx");
    try {
      await handle.writeFile(JSON.stringify({ into, ...move }));
      await handle.sync();
    } finally {
      await handle.close();
    }
    this.#moving = true;
    await makeMove(target, this.new, move);
    this.#moving = false;
  }

  /** Removes the folder and its contents, unless a move is unfinished. It fails silently: the next write removes what is left. */
  async dispose(): Promise<void> {
    if (this.#moving) return this.#lock?.release();
    await empty(this.path, this.#lock).catch(() => undefined);
  }
}

const FORBIDDEN: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS"]);
const LOCK = "lock";
const MOVE = "move";
const TEMPORARY = /^\.(.+)\.tmp-[0-9a-f]{12}$/;

/** Whether a name is a workspace's: listings of checkpoints and data leave these out. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

async function empty(path: string, lock: FileLock | undefined): Promise<void> {
  try {
    for (const name of await readdir(path)) {
      if (name !== LOCK) await rm(join(path, name), { recursive: true, force: true });
    }
  } finally {
    lock?.remove();
  }
  await rmdir(path);
}

/**
 * Removes the workspaces of processes that have ended, beside `path` and, if it is a folder, inside it. A folder that
 * one of them had moved aside is put back if nothing has taken its place; an unfinished move is finished.
 *
 * @returns whether there was any
 */
export async function recover(path: string): Promise<boolean> {
  const target = resolve(path);
  const [folder, name] = [dirname(target), basename(target)];
  let any = false;
  for (const place of [folder, target]) {
    for (const found of await temporaries(place)) {
      if (found.name !== name) continue;
      await recoverOne(found.path, target);
      any = true;
    }
  }
  return any;
}

/** {@link recover} for everything in a folder. */
export async function recoverAll(folder: string): Promise<void> {
  for (const { path, name } of await temporaries(folder)) await recoverOne(path, resolve(folder, name));
}

async function temporaries(folder: string): Promise<{ path: string; name: string }[]> {
  const names = await readdir(folder).catch(() => []);
  return names.flatMap((found) => {
    const [, name] = TEMPORARY.exec(found) ?? [];
    return name === undefined ? [] : [{ path: join(folder, found), name }];
  });
}

async function recoverOne(path: string, target: string): Promise<void> {
  let lock: FileLock | undefined;
  try {
    lock = tryLock(join(path, LOCK), false);
  } catch {
    // Without a lock file it was just made, or is nearly removed. Only an empty one is removed.
    await rmdir(path).catch(() => undefined);
    return;
  }
  if (!lock) return;
  if (!lock.exclusive) {
    lock.release();
    return;
  }
  const move = await readMove(join(path, MOVE));
  if (move !== undefined) {
    try {
      await makeMove(join(dirname(path), move.into), join(path, "new"), move);
    } catch {
      // Left for later: the files still to be moved are only here.
      lock.release();
      return;
    }
  }
  const old = join(path, "old");
  if ((await statIfThere(old)) && !(await statIfThere(target))) await rename(old, target).catch(() => undefined);
  await empty(path, lock).catch(() => undefined);
}
