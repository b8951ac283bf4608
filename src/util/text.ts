import { type ErrorDetails, GPT2Error } from "../errors.js";

type ErrorClass = new (details: ErrorDetails) => GPT2Error;

/** Byte-order marks of other encodings, the longer before one that it begins with. */
const OTHER_MARKS: readonly (readonly [name: string, mark: readonly number[]])[] = [
  ["UTF-32", [0xff, 0xfe, 0, 0]],
  ["UTF-32", [0, 0, 0xfe, 0xff]],
  ["UTF-16", [0xff, 0xfe]],
  ["UTF-16", [0xfe, 0xff]],
];
const MARK = [0xef, 0xbb, 0xbf];

const startsWith = (bytes: Uint8Array, mark: readonly number[]): boolean => mark.every((byte, i) => bytes[i] === byte);

/**
 * A text's UTF-8 without its byte-order mark, which is no part of the text.
 *
 * @param name of the file, for messages
 * @throws an error of `errorClass`: the mark is UTF-16's or UTF-32's.
 */
export function withoutByteOrderMark(bytes: Uint8Array, name: string, errorClass: ErrorClass = GPT2Error): Uint8Array {
  const other = OTHER_MARKS.find(([, mark]) => startsWith(bytes, mark));
  if (other) {
    const hint = "Convert it first, for example with iconv -t UTF-8";
    throw new errorClass({ op: `reading ${name}`, expected: "text in UTF-8", got: other[0], hint });
  }
  return startsWith(bytes, MARK) ? bytes.subarray(MARK.length) : bytes;
}
