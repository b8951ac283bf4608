/**
 * A stand-in for a file, recognized by its first bytes: a pointer that Git LFS or git-annex leaves until the file itself is
 * fetched, or a web page saved in its place.
 */
export interface StandIn {
  readonly kind: string;
  readonly hint: string;
}

/** Number of leading bytes needed to recognize one. */
export const STAND_IN_BYTES = 512;

const POINTERS: readonly (readonly [start: string, kind: string, hint: string])[] = [
  ["version https://git-lfs.github.com/spec/", "a Git LFS pointer", "Fetch the file itself with `git lfs pull`"],
  ["/annex/objects/", "a git-annex pointer", "Fetch the file itself with `git annex get`"],
];

const WEB_PAGE = /^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<(?:!doctype\s+html|html)[\s>]/i;

/** @param start the first {@link STAND_IN_BYTES} bytes, or all of a shorter file */
export function standIn(start: Uint8Array): StandIn | undefined {
  const text = Array.from(start.subarray(0, STAND_IN_BYTES), (byte) => String.fromCharCode(byte)).join("");
  const [, kind, hint] = POINTERS.find(([magic]) => text.startsWith(magic)) ?? [];
  if (kind !== undefined && hint !== undefined) return { kind, hint };
  return WEB_PAGE.test(text) ? { kind: "a web page (HTML)", hint: "Fetch the file itself" } : undefined;
}

/** Whether a symbolic link's target is one that git-annex made for a file whose content is elsewhere. */
export const isAnnexLink = (target: string): boolean => /(^|[/\\])annex[/\\]objects[/\\]/.test(target);
