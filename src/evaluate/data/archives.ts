import { DataError } from "../../errors.js";

/**
 * The files of a zip archive that is in memory, by name: stored or deflated, without zip64 (PKWARE's APPNOTE.TXT 6.3.10,
 * sections 4.3 and 4.4). Data sets come in these; model files, which are far larger, have a reader of their own.
 */
export interface ZipArchive {
  readonly names: readonly string[];
  /** @throws {DataError} not there, or damaged. */
  read(name: string): Promise<Uint8Array>;
}

const DIRECTORY_END = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const END_BYTES = 22;
/** A comment, after the end record, has a 16-bit length. */
const LONGEST_COMMENT = 0xffff;
const [STORED, DEFLATED] = [0, 8];

interface Entry {
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  readonly header: number;
}

/** @throws {DataError} not a zip archive. */
export function openZip(bytes: Uint8Array, name: string): ZipArchive {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (got: string) => new DataError({ op: `reading ${name}`, expected: "a zip archive", got });
  const within = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      if (cause instanceof RangeError) throw fail("one that is cut short or damaged");
      throw cause;
    }
  };
  const entries = within(() => readDirectory(view, bytes, fail));
  return {
    names: [...entries.keys()],
    read: async (member) => {
      const entry = entries.get(member);
      if (!entry) throw new DataError({ op: `reading ${name}`, expected: `${member} in it`, got: "no such file" });
      const { method, compressed, size, header } = entry;
      const start = within(() => {
        if (view.getUint32(header, true) !== LOCAL_HEADER) throw fail("no file where the directory has one");
        return header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
      });
      const data = bytes.subarray(start, start + compressed);
      if (method !== STORED && method !== DEFLATED) throw fail(`compression method ${method} of ${member}`);
      const content = method === STORED ? data : await inflate(data, "deflate-raw", `${name}: ${member}`);
      if (content.length !== size) throw fail(`${content.length} bytes of ${member} instead of ${size}`);
      return content;
    },
  };
}

function readDirectory(view: DataView, bytes: Uint8Array, fail: (got: string) => DataError): Map<string, Entry> {
  const last = Math.max(0, bytes.length - END_BYTES);
  let end = last;
  while (end > 0 && last - end < LONGEST_COMMENT && view.getUint32(end, true) !== DIRECTORY_END) end--;
  if (view.getUint32(end, true) !== DIRECTORY_END) throw fail("no directory");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const entries = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) throw fail("a damaged directory");
    const lengths = [28, 30, 32].map((offset) => view.getUint16(at + offset, true)) as [number, number, number];
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]));
    entries.set(name, {
      method: view.getUint16(at + 10, true),
      compressed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      header: view.getUint32(at + 42, true),
    });
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  return entries;
}

/** Decompresses with what Node and browsers bring along. @throws {DataError} damaged data. */
export async function inflate(
  bytes: Uint8Array,
  format: "gzip" | "deflate-raw",
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  // A copy in memory of its own kind: the stream does not take shared memory.
  const stream = new Blob([Uint8Array.from(bytes)]).stream().pipeThrough(new DecompressionStream(format));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new DataError({ op: `decompressing ${name}`, expected: `whole ${format} data`, got, cause });
  }
}
