import { type FileHandle, open } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { crc32c } from "../../util/crc32c.js";
import { BloomFilter } from "./bloom-filter.js";
import { FILTER_HEADER_BYTES, readFilterHeader, writeFilterHeader } from "./filter-format.js";
import type { NgramFilter } from "./ngram-filter.js";

/** One call reads at most 2^31 - 1 bytes; this much also leaves room to stop in between. */
const CHUNK_BYTES = 2 ** 26;

/**
 * Writes a filter to a file, whole or not at all.
 *
 * @throws {DataError} the file can't be written.
 */
export async function saveNgramFilter(path: string, { bloom, ...rest }: NgramFilter): Promise<void> {
  const parts = bloom.parts.map(bytesOf);
  const checksum = parts.reduce((sum, bytes) => crc32c(bytes, sum), 0);
  const header = writeFilterHeader({ ...rest, shape: bloom.shape, checksum });
  await writeFileAtomically(
    path,
    async (file) => {
      await file.write(header, 0);
      let at = header.length;
      for (const bytes of parts) {
        await file.write(bytes, at);
        at += bytes.length;
      }
    },
    DataError,
  );
}

/**
 * Reads a filter that {@link saveNgramFilter} wrote.
 *
 * @throws {DataError} it can't be read, is no filter, of another version, or damaged.
 */
export async function loadNgramFilter(path: string): Promise<NgramFilter> {
  const op = `reading ${path}`;
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw new DataError({ op, expected: "a filter", got: (cause as Error).message, cause });
  }
  try {
    const { size } = await file.stat();
    const start = new Uint8Array(Math.min(FILTER_HEADER_BYTES, size));
    await readAll(file, start, 0);
    const { shape, checksum, ...rest } = readFilterHeader(start, size, path);
    const bloom = new BloomFilter(shape);
    let [at, sum] = [FILTER_HEADER_BYTES, 0];
    for (const part of bloom.parts) {
      const bytes = bytesOf(part);
      await readAll(file, bytes, at);
      sum = crc32c(bytes, sum);
      at += bytes.length;
    }
    if (sum === checksum) return { ...rest, bloom };
    throw new DataError({ op, expected: "bits that fit their checksum", got: "others", hint: "The file is damaged" });
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError({ op, got: (cause as Error).message, cause });
  } finally {
    await file.close();
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

async function readAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(CHUNK_BYTES, bytes.length - done);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new Error("the end of the file");
    done += bytesRead;
  }
}
