import { statSync } from "node:fs";

/** Whether there is a folder; false also for an absent path, a path through a file, or without permission to look. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
