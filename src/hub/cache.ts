import { randomBytes } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { rename } from "../util/rename.js";

/**
 * The cache of Python's huggingface_hub, so that a model is fetched once for both:
 *
 *     models--owner--name/
 *       blobs/<etag>                   contents
 *       refs/<revision>                the commit to which it last resolved
 *       snapshots/<commit>/<file>      a relative symbolic link to a blob
 *     .locks/models--owner--name/<etag>.lock
 */
export interface CachedRepository {
  readonly folder: string;
  readonly locks: string;
}

export function cachedRepository(cacheDir: string, id: string): CachedRepository {
  const name = `models--${id.split("/").join("--")}`;
  return { folder: join(cacheDir, name), locks: join(cacheDir, ".locks", name) };
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** The commit to which a revision last resolved. */
export async function readRef({ folder }: CachedRepository, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const text = await readFile(join(folder, "refs", revision), "utf8").catch(() => "");
  return isCommit(text.trim()) ? text.trim() : undefined;
}

export async function writeRef({ folder }: CachedRepository, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const path = join(folder, "refs", revision);
  if ((await readFile(path, "utf8").catch(() => "")) === commit) return;
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  await writeFile(temporary, commit);
  await rename(temporary, path);
}

export function snapshotFolder({ folder }: CachedRepository, commit: string): string {
  return join(folder, "snapshots", commit);
}

/** The files of a snapshot whose contents are in the cache, by path in the repository. */
export async function snapshotFiles(snapshot: string): Promise<string[]> {
  const names = await readdir(snapshot, { recursive: true }).catch(() => []);
  const there = await Promise.all(names.map(async (name) => ((await isFile(join(snapshot, name))) ? name : undefined)));
  return there.flatMap((name) => (name === undefined ? [] : [name.split(sep).join("/")]));
}

/** Whether there is a regular file, also at the end of a symbolic link; false for a broken link. */
export async function isFile(path: string): Promise<boolean> {
  return (await fileSize(path)) !== undefined;
}

/** A file's size in bytes; undefined if there is no such file. */
export async function fileSize(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}

/**
 * Links a file of a snapshot to its blob. Where symbolic links cannot be made (Windows without that right), the file
 * itself takes the link's place, as in huggingface_hub.
 */
export async function linkToBlob(pointer: string, blob: string): Promise<void> {
  await mkdir(dirname(pointer), { recursive: true });
  const temporary = `${pointer}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await symlink(relative(dirname(pointer), blob), temporary);
  } catch {
    await copyFile(blob, temporary);
    await rename(temporary, pointer);
    await rm(blob, { force: true });
    return;
  }
  await rename(temporary, pointer);
}
