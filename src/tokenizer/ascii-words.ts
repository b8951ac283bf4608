/** Bytes past a word's start that are looked at, and so must be readable past the end of a text. */
export const ASCII_WORD_SLACK = 16;

/**
 * End of the pre-token at `pos` if it is ` ?[A-Za-z]+` and an ASCII character follows before `limit`; -1 if not, which
 * says nothing. Four of five pre-tokens of English text are of this kind. They are measured twelve letters at a time
 * and without a branch on their length, which the processor would guess wrong for every other word.
 *
 * @param view the same bytes as `bytes`.
 */
export function asciiWordEnd(bytes: Uint8Array, view: DataView, pos: number, limit: number): number {
  const start = pos + (bytes[pos] === 0x20 ? 1 : 0);
  const a = nonLetters(view.getInt32(start, true));
  if ((a & 0x80) !== 0) return -1;
  const b = nonLetters(view.getInt32(start + 4, true));
  // The place in b counts if there is none in a; a long word has none in either.
  const placeInA = lowestByte(a);
  const placeInB = 4 + lowestByte(b);
  const onlyLetters = placeInA >> 31;
  let end = start + ((placeInA & ~onlyLetters) | (placeInB & onlyLetters));
  if ((a | b) === 0) end = longWordEnd(view, start + 8, limit);
  return end < limit && bytes[end]! < 0x80 ? end : -1;
}

function longWordEnd(view: DataView, pos: number, limit: number): number {
  let i = pos;
  let others = nonLetters(view.getInt32(i, true));
  while (others === 0 && i < limit) {
    i += 4;
    others = nonLetters(view.getInt32(i, true));
  }
  return others === 0 ? limit : i + lowestByte(others);
}

/**
 * Of four bytes at once, the high bits of those that are no ASCII letter. In lower case, with the high bit clear, a byte
 * reaches 0x80 when 0x1f is added from `a` on, and when 0x05 is added from `{` on; no sum carries into the next byte.
 */
function nonLetters(four: number): number {
  const lower = (four | 0x20202020) & 0x7f7f7f7f;
  return ~((lower + 0x1f1f1f1f) & ~(lower + 0x05050505) & ~four) & 0x80808080;
}

/** Index of the lowest byte whose high bit is set, or -1. */
function lowestByte(highBits: number): number {
  return (31 - Math.clz32(highBits & -highBits)) >> 3;
}
