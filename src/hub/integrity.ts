import { createHash } from "node:crypto";

/**
 * The checksum that a file's ETag gives. The hub's ETag is the SHA-256 of a file in LFS, else git's name for the
 * content: the SHA-1 of `blob <size>\0` and the bytes.
 */
export type Checksum =
  | { readonly kind: "sha256"; readonly hex: string }
  | { readonly kind: "git-sha1"; readonly hex: string };

/** The ETag as huggingface_hub uses it in file names: without quotes, and without the mark of a weak one. */
export function normalizeEtag(etag: string): string {
  return etag.replace(/^[W/]+/, "").replace(/^"+|"+$/g, "");
}

/** The checksum in an ETag; undefined if the ETag is something else. */
export function checksumOfEtag(etag: string): Checksum | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { kind: "sha256", hex: etag };
  if (/^[0-9a-f]{40}$/.test(etag)) return { kind: "git-sha1", hex: etag };
  return undefined;
}

/** A hash being computed. (Not Node's type, which users of this package in a page lack.) */
export interface RunningHash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: "hex"): string;
}

/** @param size of the whole file, in bytes: git's name depends on it. */
export function startHash({ kind }: Checksum, size: number): RunningHash {
  return kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}
