import { concatBytes } from "../../data/text.js";
import { DataError, MissingDataError } from "../../errors.js";
import { needNode } from "../../util/runtime.js";
import { bunzip2 } from "./bzip2.js";
import { inflate, openZip } from "./zip.js";

/**
 * A place with the files of data sets: a folder, a cache of downloads, or any storage of the calling program.
 */
export interface DataSource {
  /** For messages: `the folder eval`. */
  readonly description: string;
  /** A file's bytes as stored; undefined if it does not exist. Paths use `/`. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Names of the files in a folder, sorted; empty if it does not exist. */
  list(folder: string): Promise<readonly string[]>;
}

/** Several sources as one: a file is read from the first source that has it. */
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

/** A file that an evaluation read. */
export interface UsedFile {
  readonly path: string;
  /** Hexadecimal, of the file as stored. */
  readonly sha256: string;
}

export interface DataFile extends UsedFile {
  /** Decompressed if its name ends in .gz, .bz2 or .zst. */
  readonly bytes: Uint8Array;
}

/** A data set that an evaluation reads. */
export interface DataSetInfo {
  /** Its folder. */
  readonly name: string;
  /** Where it is published. */
  readonly origin: string;
}

/**
 * The first of these files that exists, in the data set's folder or beside it. `set.zip!folder/file` is a file within an
 * archive.
 *
 * @throws {MissingDataError} none exists; the message says which file to get, and where.
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
  if (path.endsWith(".bz2")) return bunzip2(bytes, path);
  return path.endsWith(".zst") ? unzstd(bytes, path) : bytes;
}

/** @throws {DataError} damaged data. */
async function unzstd(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  needNode(`reading ${path}`, "Decompress it first");
  const { ZstdDecoder } = await import("#node/data/zstd.js");
  const decoder = await ZstdDecoder.create();
  try {
    const parts = decoder.push(bytes);
    decoder.end();
    return concatBytes(
      parts,
      parts.reduce((sum, { length }) => sum + length, 0),
    );
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new DataError({ op: `decompressing ${path}`, expected: "whole zstd data", got, cause });
  }
}

/** Hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
