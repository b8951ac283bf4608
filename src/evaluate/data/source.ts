import { MissingDataError } from "../../errors.js";
import { bunzip2 } from "./bzip2.js";
import { inflate, openZip } from "./zip.js";

/**
 * Where the files of data sets come from: a folder that the user gives, a cache that they are fetched into, or whatever a
 * program keeps them in.
 */
export interface DataSource {
  /** For messages: `the folder eval`. */
  readonly description: string;
  /** A file's bytes as they are stored, or undefined if it is not there. Paths have `/`. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Names of the files in a folder, sorted; none if it is not there. */
  list(folder: string): Promise<readonly string[]>;
}

/** Several sources as one: what the first does not have is looked for in the next. */
export function firstOf(...sources: readonly DataSource[]): DataSource {
  return {
    description: sources.map(({ description }) => description).join(", or "),
    read: async (path) => {
      for (const source of sources) {
        const bytes = await source.read(path);
        if (bytes) return bytes;
      }
      return undefined;
    },
    list: async (folder) => {
      for (const source of sources) {
        const names = await source.list(folder);
        if (names.length > 0) return names;
      }
      return [];
    },
  };
}

/** A file that an evaluation used. */
export interface UsedFile {
  readonly path: string;
  /** Hexadecimal, of the file as it is stored. */
  readonly sha256: string;
}

export interface DataFile extends UsedFile {
  /** Decompressed if its name ends in .gz or .bz2. */
  readonly bytes: Uint8Array;
}

/** A data set that an evaluation needs. */
export interface DataSetInfo {
  /** Its folder. */
  readonly name: string;
  /** Where it can be had. */
  readonly origin: string;
}

/**
 * The first of these files that is there, in the data set's folder or beside it. `set.zip!folder/file` is a file within an
 * archive.
 *
 * @throws {MissingDataError} none is there; the message says what to get, and where.
 */
export async function readFirst(
  source: DataSource,
  { name, origin }: DataSetInfo,
  files: readonly string[],
): Promise<DataFile> {
  for (const path of files.flatMap((file) => [`${name}/${file}`, file])) {
    const [outer = path, member] = path.split("!");
    const stored = await source.read(outer);
    if (!stored) continue;
    const bytes = member === undefined ? await decompress(stored, path) : await openZip(stored, outer).read(member);
    return { path, sha256: await sha256(stored), bytes };
  }
  throw new MissingDataError({
    op: `data set ${name}`,
    expected: `${name}/${files.join(` or ${name}/`)} in ${source.description}`,
    got: "none of them",
    hint: `It is published at ${origin}`,
  });
}

async function decompress(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  if (path.endsWith(".gz")) return inflate(bytes, "gzip", path);
  return path.endsWith(".bz2") ? bunzip2(bytes, path) : bytes;
}

/** Hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
