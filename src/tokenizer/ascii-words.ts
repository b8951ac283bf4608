/** Number of bytes read from the start of a word: as many must be readable past the end of a text. */
export const ASCII_WORD_SLACK = 16;

/**
 * End of the pre-token at `pos` if it is ` ?[A-Za-z]+` and an ASCII character follows before `limit`; otherwise -1, and
 * {@link pretokenEnd} decides. Naively:
 *
 *     let end = bytes[pos] === SPACE ? pos + 1 : pos;
 *     while (isAsciiLetter(bytes[end])) end++;
 *
 * Four of five pre-tokens of English text are of this kind. Here eight letters are tested at once, without a branch on the
 * word's length, which the processor would mispredict for every other word.
 *
 * @param view of the same memory as `bytes`.
 */
export function asciiWordEnd(bytes: Uint8Array, view: DataView, pos: number, limit: number): number {
  const start = pos + (bytes[pos] === 0x20 ? 1 : 0);
  const a = nonLetters(view.getInt32(start, true));
  if ((a & 0x80) !== 0) return -1;
  const b = nonLetters(view.getInt32(start + 4, true));
  // The position in b counts if a has none; a long word has none in either.
  const indexInA = lowestByte(a);
  const indexInB = 4 + lowestByte(b);
  const onlyLetters = indexInA >> 31;
  let end = start + ((indexInA & ~onlyLetters) | (indexInB & onlyLetters));
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
 * The high bits of those of four bytes that are not ASCII letters. In lower case and with the high bit clear, a byte from
 * `a` on reaches 0x80 when 0x1f is added, and one from `{` on when 0x05 is added; no sum carries into the next byte.
 */
function nonLetters(four: number): number {
  const lower = (four | 0x20202020) & 0x7f7f7f7f;
  return ~((lower + 0x1f1f1f1f) & ~(lower + 0x05050505) & ~four) & 0x80808080;
}

/** Index of the lowest byte whose high bit is set, or -1. */
function lowestByte(highBits: number): number {
  return (31 - Math.clz32(highBits & -highBits)) >> 3;
}
