import { DataError } from "../../errors.js";

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
