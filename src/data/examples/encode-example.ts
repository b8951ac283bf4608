import { END_OF_TEXT, type Segment } from "./template.js";

/** What examples need of a tokenizer. */
export interface ExampleEncoder {
  /** Ids of text, special tokens not recognised. */
  encode(text: string): ArrayLike<number>;
  readonly endOfText: number;
}

/** Tokens, and for each whether the model learns to write it: 1, or 0. */
export interface EncodedExample {
  readonly tokens: Uint16Array;
  readonly counted: Uint8Array;
}

/** Segments are cut into tokens one by one, so that a token belongs to what is read or to what is learned. */
export function encodeExample(segments: readonly Segment[], { encode, endOfText }: ExampleEncoder): EncodedExample {
  const tokens: number[] = [];
  const counted: number[] = [];
  for (const segment of segments) {
    for (const part of segment.parts) {
      const ids = part === END_OF_TEXT ? [endOfText] : Array.from(encode(part as string));
      for (const id of ids) {
        tokens.push(id);
        counted.push(segment.counted ? 1 : 0);
      }
    }
  }
  // The first token follows nothing.
  if (counted[0] === 1) {
    tokens.unshift(endOfText);
    counted.unshift(0);
  }
  return { tokens: Uint16Array.from(tokens), counted: Uint8Array.from(counted) };
}

/**
 * The places of an example that is too long: what is read is cut at its beginning, so that what is learned stays; if that
 * alone is too long, its end is cut.
 *
 * @param firstCounted index of the first token that is learned
 * @returns the range that is kept
 */
export function cutExample(length: number, firstCounted: number, longest: number): [start: number, end: number] {
  if (length <= longest) return [0, length];
  // One token stays before the first that is learned.
  const start = Math.min(length - longest, firstCounted - 1);
  return [start, start + longest];
}
