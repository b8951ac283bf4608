import { memorySource } from "../../checkpoint/byte-source.js";
import { readZip, type ZipEntry } from "../../checkpoint/zip.js";
import { CheckpointError, DataError } from "../../errors.js";
import { crc32 } from "../../util/crc32c.js";

/** The files of a zip archive in memory: stored or deflated. Checksums are verified. */
export interface ZipArchive {
  readonly names: readonly string[];
  /** @throws {DataError} there is no such file, or it is damaged. */
  read(name: string): Promise<Uint8Array>;
}

/** @throws {DataError} not a whole zip archive. */
export function openZip(bytes: Uint8Array, name: string): ZipArchive {
  const entries = asDataErrors(() => readZip(memorySource(name, bytes)));
  return {
    names: [...entries.keys()],
    read: async (member) => {
      const entry = entries.get(member);
      if (entry) return readEntry(entry, `${name}: ${member}`);
      throw new DataError({ op: `reading ${name}`, expected: `${member} in it`, got: "no such file" });
    },
  };
}

async function readEntry(entry: ZipEntry, name: string): Promise<Uint8Array> {
  const packed = asDataErrors(() => entry.packed());
  const content = entry.method === "deflate" ? await inflate(packed, "deflate-raw", name) : packed;
  const refuse = (expected: string, got: string) => new DataError({ op: `decompressing ${name}`, expected, got });
  if (content.length !== entry.size) throw refuse(`${entry.size} bytes`, `${content.length}`);
  if (crc32(content) !== entry.crc32) throw refuse("the checksum in the archive's directory", "another");
  return content;
}

/** Errors of the reader that model files share, as those of a data set. */
function asDataErrors<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof CheckpointError ? new DataError(error.details) : error;
  }
}

/** Decompresses with the platform's own streams, which verify gzip's checksum. @throws {DataError} damaged data. */
export async function inflate(
  bytes: Uint8Array,
  format: "gzip" | "deflate-raw",
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  // A copy: the stream takes no shared memory.
  const stream = new Blob([Uint8Array.from(bytes)]).stream().pipeThrough(new DecompressionStream(format));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new DataError({ op: `decompressing ${name}`, expected: `whole ${format} data`, got, cause });
  }
}
