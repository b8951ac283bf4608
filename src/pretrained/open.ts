import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MappedFile } from "../checkpoint/byte-source.js";
import { fileOperation, openFileSource, statOf } from "../checkpoint/file-source.js";
import { recover } from "../util/workspace.js";
import type { Checkpoint } from "./checkpoint.js";
import { openFile, openFolder } from "./identify.js";
import type { ModelFiles } from "./model-files.js";

export interface FileAccess {
  /** Maps a whole file into memory, as a {@link Backend} may. Without it, files are read range by range. */
  mapFile?(path: string): MappedFile | undefined;
}

/**
 * Opens a model on disk, a folder or file in one of `FORMATS`. Reads only headers; tensors are read, or used in place, on
 * demand. Close it when done.
 *
 * @throws {CheckpointError} the path does not exist, or the model has another format or is malformed.
 * @throws {ConfigError} the configuration describes another architecture, or a variant that is not supported.
 */
export async function openCheckpoint(path: string, access: FileAccess = {}): Promise<Checkpoint> {
  try {
    return await openAt(path, access);
  } catch (error) {
    // If writing it was killed, its last files may not be in their place yet.
    if (!(await recover(path))) throw error;
    return openAt(path, access);
  }
}

async function openAt(path: string, access: FileAccess): Promise<Checkpoint> {
  if (statOf(path).isDirectory()) return openFolder(diskFiles(path, path, access));
  return openFile(basename(path), diskFiles(dirname(path), path, access));
}

/** @param path what messages call the model. */
function diskFiles(folder: string, path: string, access: FileAccess): ModelFiles {
  return {
    path,
    has: (name) => existsSync(join(folder, name)),
    names: () => fileOperation(`opening ${folder}`, () => readdirSync(folder)),
    pathOf: (name) => join(folder, name),
    open: (name) => openFileSource(join(folder, name), (file) => access.mapFile?.(file)),
  };
}
