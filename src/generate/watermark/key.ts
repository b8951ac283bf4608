import { UsageError } from "../../errors.js";

/** A watermark's key: a 64-bit integer, or a text. */
export type WatermarkKey = string | number | bigint;

const LIMIT = 2n ** 64n;
const EXPECTED = "an integer from 0 to 2^64 - 1, or a text that is not a number";

/** @throws {UsageError} it is not a valid key. The message does not contain it. */
export function checkKey(key: unknown): asserts key is WatermarkKey {
  if (typeof key === "string" && key.trim() !== "") {
    if (isNumeral(key.trim())) inRange(BigInt(key.trim()));
  } else if (typeof key === "bigint") inRange(key);
  else if (typeof key === "number" && Number.isSafeInteger(key)) inRange(BigInt(key));
  else {
    const got = key === undefined ? "none" : typeof key === "string" ? "an empty text" : `a ${typeof key}`;
    throw new UsageError({ op: "watermark: key", expected: EXPECTED, got });
  }
}

/**
 * The 64 bits of a key. An integer stands for itself, also as a text of decimal digits or of 0x and hexadecimal digits. Any
 * other text stands for the first eight bytes, big-endian, of the SHA-256 of its UTF-8, with surrounding white space removed.
 */
export async function keyBits(key: WatermarkKey): Promise<bigint> {
  checkKey(key);
  if (typeof key !== "string") return BigInt(key);
  const text = key.trim();
  return isNumeral(text) ? BigInt(text) : firstBytes(new TextEncoder().encode(text));
}

/** Derives a key for one purpose: the first eight bytes of the SHA-256 of the purpose and the key's eight bytes. */
export function derivedKey(key: bigint, purpose: string): Promise<bigint> {
  const label = new TextEncoder().encode(purpose);
  const bytes = new Uint8Array(label.length + 8);
  bytes.set(label);
  new DataView(bytes.buffer).setBigUint64(label.length, key);
  return firstBytes(bytes);
}

async function firstBytes(bytes: Uint8Array<ArrayBuffer>): Promise<bigint> {
  if (globalThis.crypto?.subtle === undefined) {
    const hint = "Serve the page over https, or give an integer as key";
    throw new UsageError({
      op: "watermark: key",
      expected: "a page in a secure context, for SHA-256",
      got: "none",
      hint,
    });
  }
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return new DataView(digest).getBigUint64(0);
}

const isNumeral = (text: string): boolean => /^(?:-?\d+|0x[0-9a-f]+)$/i.test(text);

function inRange(value: bigint): void {
  if (value >= 0n && value < LIMIT) return;
  const got = value < 0n ? "a negative number" : "a larger one";
  throw new UsageError({ op: "watermark: key", expected: "an integer from 0 to 2^64 - 1", got });
}
