import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { statIfThere } from "./output.js";
import { rename } from "./rename.js";

/**
 * A move of a folder's entries into another folder, one by one. The entries that they replace are removed first, so that old
 * entries never lie beside new ones. The move is recorded before it begins (`Workspace.moveInto`): whoever finds it unfinished
 * finishes it, so that a kill loses neither the old set nor the new one.
 */
export interface Move {
  /** Entries to be removed from the target, in this order. */
  readonly removed: readonly string[];
  /** Entries to be moved, in this order; a path with a slash is inside a folder that exists on both sides. */
  readonly moved: readonly string[];
  /** Whether folders among `removed` are removed with their contents. */
  readonly recursive: boolean;
}

/** Performs a move, or the rest of one. */
export async function makeMove(target: string, folder: string, { removed, moved, recursive }: Move): Promise<void> {
  const left: string[] = [];
  for (const path of moved) if (await statIfThere(join(folder, path))) left.push(path);
  const done = new Set(moved.filter((path) => !left.includes(path)));
  for (const path of removed) if (!done.has(path)) await rm(join(target, path), { force: true, recursive });
  for (const path of left) await rename(join(folder, path), join(target, path));
}

/** The move that a file records; undefined if there is none, or one that cannot have been recorded here. */
export async function readMove(path: string): Promise<(Move & { readonly into: string }) | undefined> {
  try {
    const { into, removed, moved, recursive } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    const isPath = (value: unknown) => typeof value === "string" && value.split("/").every(isPlainName);
    const arePaths = (value: unknown): value is string[] => Array.isArray(value) && value.every(isPath);
    const isComplete = typeof recursive === "boolean" && arePaths(removed) && arePaths(moved);
    if (!isComplete || typeof into !== "string" || !(into === "." || isPlainName(into))) return undefined;
    return { into, removed, moved, recursive };
  } catch {
    return undefined;
  }
}

/** Characters that no entry's name may contain: on Windows a backslash separates too, and a colon follows a drive. */
const SEPARATORS = process.platform === "win32" ? /[/\\:\0]/ : /[/\0]/;

/** Whether this names an entry of its folder, and nothing outside it. */
const isPlainName = (name: string): boolean => !["", ".", ".."].includes(name) && !SEPARATORS.test(name);
