import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { statIfThere } from "./output.js";
import { rename } from "./rename.js";

/**
 * Entries of a folder moved into another one, one by one. What they replace goes first, so that there are never old entries
 * beside new ones. The move is written down before it begins (`Workspace.moveInto`): whoever finds it half done finishes it,
 * so that a kill in between loses neither the old set nor the new one.
 */
export interface Move {
  /** Entries of the target that go, in this order. */
  readonly removed: readonly string[];
  /** Entries that come, in this order; with a slash those of folders that both have. */
  readonly moved: readonly string[];
  /** Whether folders among `removed` go with all that is in them. */
  readonly recursive: boolean;
}

/** Makes a move, or what is left of it. */
export async function makeMove(target: string, folder: string, { removed, moved, recursive }: Move): Promise<void> {
  const left: string[] = [];
  for (const path of moved) if (await statIfThere(join(folder, path))) left.push(path);
  const done = new Set(moved.filter((path) => !left.includes(path)));
  for (const path of removed) if (!done.has(path)) await rm(join(target, path), { force: true, recursive });
  for (const path of left) await rename(join(folder, path), join(target, path));
}

/** What a file says of a move; undefined if there is none, or not one that could have been made here. */
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

/** Characters of no name: on Windows a backslash separates too, and a colon follows a drive. */
const SEPARATORS = process.platform === "win32" ? /[/\\:\0]/ : /[/\0]/;

/** Whether this names an entry of its folder, and nothing elsewhere. */
const isPlainName = (name: string): boolean => !["", ".", ".."].includes(name) && !SEPARATORS.test(name);
