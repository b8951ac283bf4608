/**
 * White space of Python's str.split() and re's \s: Unicode's White_Space and the separators U+001C to U+001F. JavaScript's
 * \s lacks these and U+0085, and includes U+FEFF.
 */
const SEPARATORS = String.fromCharCode(0x1c, 0x1d, 0x1e, 0x1f);
const SPACES = new RegExp(`[\\p{White_Space}${SEPARATORS}]+`, "u");
const SPACES_AT_END = new RegExp(`${SPACES.source}$`, "u");

/** Python's `text.split()`. */
export function splitWords(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== "");
}

/** Python's `text.rstrip()`. */
export function trimEnd(text: string): string {
  return text.replace(SPACES_AT_END, "");
}

/** Length of Python's `re.split(r"\s+", text)`, which has an empty piece at an end with white space. */
export function pieceCount(text: string): number {
  return text.split(SPACES).length;
}
