/**
 * The alphabet of GPT-2's files, which write every byte as one printable character: the printable bytes of Latin-1 as
 * themselves, the 68 others as U+0100 and following. Ids 0 to 255 are the bytes in the order of those characters.
 */

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

const charOfByte: string[] = [];
const byteOfCodeUnit = new Int16Array(512).fill(-1);
/** Bytes in id order: `BYTES_BY_ID[id]` is the byte of GPT-2's token `id`, 0 to 255. */
export const BYTES_BY_ID = new Uint8Array(256);

{
  let others = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const unit = isPrintable(byte) ? byte : others++;
    charOfByte[byte] = String.fromCharCode(unit);
    byteOfCodeUnit[unit] = byte;
  }
  let id = 0;
  for (const byte of byteOfCodeUnit) if (byte >= 0) BYTES_BY_ID[id++] = byte;
}

/** Bytes in the alphabet of GPT-2's files: ` the` becomes `Ġthe`. */
export function bytesToChars(bytes: Uint8Array): string {
  let chars = "";
  for (const byte of bytes) chars += charOfByte[byte];
  return chars;
}

/** The inverse of {@link bytesToChars}; undefined if a character is not in the alphabet. */
export function charsToBytes(chars: string): Uint8Array | undefined {
  const bytes = new Uint8Array(chars.length);
  return putChars(chars, bytes, 0) ? bytes : undefined;
}

/** Writes the bytes of `chars` from `offset` on. Returns whether all characters are in the alphabet. */
export function putChars(chars: string, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < chars.length; i++) {
    const byte = byteOfCodeUnit[chars.charCodeAt(i)] ?? -1;
    if (byte < 0) return false;
    bytes[offset + i] = byte;
  }
  return true;
}
