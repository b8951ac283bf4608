import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename } from "node:path";

export interface HashedFile {
  /** Without its folder. */
  readonly file: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** SHA-256 of files, each as it is on disk. */
export async function hashFiles(paths: readonly string[], signal?: AbortSignal): Promise<HashedFile[]> {
  const hashed: HashedFile[] = [];
  for (const path of paths) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) })) {
      hash.update(chunk as Uint8Array);
    }
    hashed.push({ file: basename(path), sha256: hash.digest("hex") });
  }
  return hashed;
}
