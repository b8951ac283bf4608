import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { DataError } from "../../errors.js";
import type { DataSource } from "./source.js";

/** Nothing is there, or a folder is where a file was looked for. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "EISDIR"]);

/** Data sets in a folder, each in one of its own, in the layout they are published in: docs/evaluation.md lists them. */
export function folderSource(folder: string): DataSource {
  const absentAs =
    <T>(absent: T, path: string) =>
    (cause: NodeJS.ErrnoException): T => {
      if (ABSENT.has(cause.code ?? "")) return absent;
      throw new DataError({ op: `reading ${path}`, got: cause.message, cause });
    };
  return {
    description: folder,
    read: (path) => readFile(resolve(folder, path)).catch(absentAs(undefined, path)),
    list: async (path) => (await readdir(resolve(folder, path)).catch(absentAs<string[]>([], path))).sort(),
  };
}
