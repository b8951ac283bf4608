/**
 * What stands where a file should be, by its first bytes: pointers that Git LFS and git-annex leave until the file itself is
 * fetched, and web pages that were saved in its place.
 */
export interface StandIn {
  readonly kind: string;
  readonly hint: string;
}

/** First bytes that tell one. */
export const STAND_IN_BYTES = 512;

const POINTERS: readonly (readonly [start: string, kind: string, hint: string])[] = [
  ["version https://git-lfs.github.com/spec/", "a Git LFS pointer", "Fetch the file itself with `git lfs pull`"],
  ["/annex/objects/", "a git-annex pointer", "Fetch the file itself with `git annex get`"],
];

const WEB_PAGE = /^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<(?:!doctype\s+html|html)[\s>]/i;

/** @param start the first {@link STAND_IN_BYTES} bytes, or all there are */
export function standIn(start: Uint8Array): StandIn | undefined {
  const text = Array.from(start.subarray(0, STAND_IN_BYTES), (byte) => String.fromCharCode(byte)).join("");
  const [, kind, hint] = POINTERS.find(([magic]) => text.startsWith(magic)) ?? [];
  if (kind !== undefined && hint !== undefined) return { kind, hint };
  return WEB_PAGE.test(text) ? { kind: "a web page (HTML)", hint: "Fetch the file itself" } : undefined;
}

/** The target of a symbolic link that git-annex made, of a file whose content is elsewhere. */
export const isAnnexLink = (target: string): boolean => /(^|[/\\])annex[/\\]objects[/\\]/.test(target);
