/** Most bytes by which a cut may move back. */
const REACH = 1 << 16;

/** White space by any definition: JavaScript's, and U+0085 of Unicode and GPT-2's pattern. */
const SPACE = /[\s\u0085]/u;

/**
 * The position at or before `limit` to cut UTF-8 text, so that the two parts encode to the tokens of the whole.
 *
 * GPT-2's pattern never joins a character that is not white space to white space after it (white space is joined only to
 * what follows: ` ?\p{L}+`), and it looks ahead but never back; so before a space or line feed that follows anything but
 * white space, every split is at the same places with and without the cut. Text that has no such place in 64 KiB is cut
 * between two characters; its ids may differ there, its bytes not.
 *
 * @param bytes text that continues after `limit`
 */
export function safeCut(bytes: Uint8Array, limit: number): number {
  for (let i = limit; i > Math.max(0, limit - REACH); i--) {
    const byte = bytes[i]!;
    if ((byte === 0x20 || byte === 0x0a) && !endsWithSpace(bytes, i)) return i;
  }
  let cut = limit;
  // Back over at most three continuation bytes: the text need not be valid.
  while (cut > limit - 3 && (bytes[cut]! & 0xc0) === 0x80) cut--;
  return (bytes[cut]! & 0xc0) === 0x80 ? limit : cut;
}

/** Whether the character that ends at `end` is white space. */
function endsWithSpace(bytes: Uint8Array, end: number): boolean {
  const last = bytes[end - 1]!;
  if (last < 0x80) return last <= 0x20 && SPACE.test(String.fromCharCode(last));
  let start = end - 1;
  while (start > Math.max(0, end - 4) && (bytes[start]! & 0xc0) === 0x80) start--;
  return SPACE.test(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(start, end)));
}
