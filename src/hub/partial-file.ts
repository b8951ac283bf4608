import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeAt } from "../util/atomic-write.js";
import { rename } from "../util/rename.js";
import { type Checksum, startHash } from "./integrity.js";

/**
 * The received part of a file, beside its final place: `<stem>.<8 hexadecimal digits>.incomplete`, the name that
 * huggingface_hub uses. Each process writes under its own name and renames the complete file, so that two processes
 * fetching the same file waste effort but do no harm.
 */
export class PartialFile {
  #path: string;
  #handle: FileHandle;
  #size: number;

  private constructor(path: string, handle: FileHandle, size: number) {
    this.#path = path;
    this.#handle = handle;
    this.#size = size;
  }

  /**
   * Resumes an earlier attempt, or starts.
   *
   * @param stem of the names in `folder`; files with the same stem are parts of the same content.
   * @param exclusive whether no other process is fetching it. If that isn't known, only files that have not been written to
   *   for a while are taken over.
   */
  static async open(folder: string, stem: string, exclusive: boolean): Promise<PartialFile> {
    const path = newName(folder, stem);
    const [found, ...others] = await leftovers(folder, stem, exclusive ? 0 : ABANDONED_AFTER_MS);
    // Renamed to our own name before it is touched: only one of two processes can succeed.
    const taken = found !== undefined && (await succeeds(rename(found.path, path)));
    for (const { path } of others) await rm(path, { force: true });
    const handle = await open(path, taken ? "r+" : "wx");
    return new PartialFile(path, handle, taken ? (await handle.stat()).size : 0);
  }

  /** Bytes received. */
  get size(): number {
    return this.#size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writeAt(this.#handle, bytes, this.#size);
    this.#size += bytes.length;
  }

  /** Restarts with a new file: another process may have taken over the old one because it looked abandoned. */
  async restart(): Promise<void> {
    const folder = dirname(this.#path);
    const stem = basename(this.#path).replace(SUFFIX, "");
    await this.remove();
    this.#path = newName(folder, stem);
    this.#handle = await open(this.#path, "wx");
    this.#size = 0;
  }

  /** The checksum of the bytes on disk. */
  async hash(checksum: Checksum): Promise<string> {
    const hash = startHash(checksum, this.#size);
    for await (const piece of createReadStream(this.#path, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer);
    return hash.digest("hex");
  }

  /** Renames it to its final name, replacing an existing file. */
  async finish(target: string): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#path, target);
  }

  /** Keeps the file for the next attempt, or removes it if it is empty. */
  async keep(): Promise<void> {
    await this.#handle.close();
    if (this.#size === 0) await rm(this.#path, { force: true });
  }

  async remove(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }
}

const SUFFIX = /\.[0-9a-f]{8}\.incomplete$/;
const ABANDONED_AFTER_MS = 120_000;

function newName(folder: string, stem: string): string {
  return join(folder, `${stem}.${randomBytes(4).toString("hex")}.incomplete`);
}

/** Partial files left by others, largest first. Older versions of huggingface_hub have no digits in the name. */
async function leftovers(folder: string, stem: string, minAge: number) {
  const found: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (name !== `${stem}.incomplete` && !(SUFFIX.test(name) && name.replace(SUFFIX, "") === stem)) continue;
    const stats = await stat(join(folder, name)).catch(() => undefined);
    // A file of this very millisecond can seem to lie in the future: the clock has whole milliseconds, the file system fractions.
    if (stats?.isFile() && Math.max(0, Date.now() - stats.mtimeMs) >= minAge)
      found.push({ path: join(folder, name), size: stats.size });
  }
  return found.sort((a, b) => b.size - a.size);
}

async function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/** A short hash of a text, for file names. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
