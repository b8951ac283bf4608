import { chmod, chown, link, mkdir, readdir, readlink, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Move } from "./move-into.js";
import { statIfThere } from "./output.js";
import { rename } from "./rename.js";
import { systemCalls } from "./system-calls.js";
import { isTemporaryName, type Workspace } from "./workspace.js";

/**
 * What happens to the existing files of a folder: all are removed, or those without a new version stay, or only those
 * of them for which a function returns true.
 */
export type Existing = "replace" | "merge" | ((name: string) => boolean);

/**
 * Exchanges a folder for the new one of a workspace beside it, which takes over its mode and owner. Where the system can't
 * exchange two names atomically there is a moment in which neither has its name; {@link recover} repairs a kill in that
 * moment.
 *
 * @returns false, with the folder unchanged, if the new one can't take over everything that is to stay
 */
export async function exchangeFolder(target: string, workspace: Workspace, existing: Existing): Promise<boolean> {
  const attributes = await stat(target);
  const complete =
    (existing === "replace" || (await linkRest(target, workspace.new, existing))) &&
    (await takeAttributes(workspace.new, attributes));
  if (!complete) return false;
  if (systemCalls().exchange?.(workspace.new, target)) return true;
  await rename(target, workspace.old);
  try {
    await rename(workspace.new, target);
  } catch (error) {
    await rename(workspace.old, target);
    throw error;
  }
  return true;
}

/**
 * Plans a move. New entries come in descending order of their names, so that config.json, dataset.json and the like, without
 * which nothing is loaded, come last; old ones are removed first.
 *
 * @param existing what happens to the target's other entries
 * @param last an entry that is removed first and moved last, in place of that order
 * @throws EISDIR, EEXIST, ENOTSUP: an existing entry can't be replaced. Nothing has changed then.
 */
export async function planMove(target: string, folder: string, existing: Existing, last?: string): Promise<Move> {
  const names = (await readdir(folder)).sort().reverse();
  if (last !== undefined) names.push(...names.splice(names.indexOf(last), 1));
  const old = existing === "merge" ? [] : await readdir(target);
  const superseded = typeof existing === "function" ? old.filter((name) => !existing(name)) : old;
  const moved: string[] = [];
  const replaced: string[] = [];
  for (const name of names) {
    const isInner = existing !== "replace" && (await bothFolders(join(target, name), join(folder, name)));
    const inner = isInner && (await planMove(join(target, name), join(folder, name), "merge"));
    if (inner) {
      moved.push(...inner.moved.map((path) => `${name}/${path}`));
      replaced.push(...inner.removed.map((path) => `${name}/${path}`));
    } else {
      moved.push(name);
      if (existing !== "replace") replaced.push(name);
    }
  }
  const removed = [...new Set([...replaced.reverse(), ...superseded.sort()])].filter((name) => !isTemporaryName(name));
  return { removed, moved, recursive: existing === "replace" };
}

/** @throws EISDIR, EEXIST: only one of the two is a folder; ENOTSUP: the existing entry is a device, pipe or socket. */
async function bothFolders(target: string, path: string): Promise<boolean> {
  const there = await statIfThere(target);
  if (there === undefined) return false;
  const [isFolder, isOne] = [there.isDirectory(), (await stat(path)).isDirectory()];
  if (!isFolder && !there.isFile()) throw refusal("ENOTSUP", target);
  if (isFolder === isOne) return isFolder;
  throw refusal(isFolder ? "EISDIR" : "EEXIST", target);
}

function refusal(code: string, target: string): Error {
  return Object.assign(new Error(`${code}: ${target}`), { code, syscall: "rename", path: target });
}

/** Links into `to` the files of `from` that it lacks. False if an entry can't be linked. */
async function linkRest(from: string, to: string, existing: Existing = "merge"): Promise<boolean> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (isTemporaryName(entry.name)) continue;
    if (typeof existing === "function" && !existing(entry.name)) continue;
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    const there = await statIfThere(copy);
    if (entry.isDirectory()) {
      if (there === undefined) await mkdir(copy);
      else if (!there.isDirectory()) return false;
      if (!(await linkRest(source, copy)) || !(await takeAttributes(copy, await stat(source)))) return false;
    } else if (!entry.isFile() && !entry.isSymbolicLink()) {
      return false;
    } else if (there === undefined) {
      const made = entry.isFile() ? link(source, copy) : symlink(await readlink(source), copy);
      if (!(await succeeds(made))) return false;
    }
  }
  return true;
}

/** Copies owner, group and mode. False if the system doesn't allow it. */
export async function takeAttributes(
  path: string,
  wanted: { uid: number; gid: number; mode: number },
): Promise<boolean> {
  if (process.platform === "win32") return true;
  const own = await stat(path);
  // A change of owner clears the set-id bits, so it comes first.
  const owned =
    (own.uid === wanted.uid && own.gid === wanted.gid) || (await succeeds(chown(path, wanted.uid, wanted.gid)));
  const { mode } = await stat(path);
  return owned && (mode === wanted.mode || (await succeeds(chmod(path, wanted.mode & 0o7777))));
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
