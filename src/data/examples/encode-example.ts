import { END_OF_TEXT, type Segment } from "./template.js";

/** The parts of a tokenizer needed to encode examples. */
export interface ExampleEncoder {
  /** Ids of text, special tokens not recognized. */
  encode(text: string): ArrayLike<number>;
  readonly endOfText: number;
}

/** Tokens with a loss mask: 1 for tokens that the model learns to write. */
export interface EncodedExample {
  readonly tokens: Uint16Array;
  readonly counted: Uint8Array;
}

/** Encodes segments one by one, so that no token spans the boundary between parts with and without loss. */
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
  // The first token has no context.
  if (counted[0] === 1) {
    tokens.unshift(endOfText);
    counted.unshift(0);
  }
  return { tokens: Uint16Array.from(tokens), counted: Uint8Array.from(counted) };
}

/**
 * The range of a too long example to keep: drops the start of the prompt, so that the tokens with loss stay. If those alone are
 * too long, drops their end.
 *
 * @param firstCounted index of the first token in the loss mask
 */
export function cutExample(length: number, firstCounted: number, longest: number): [start: number, end: number] {
  if (length <= longest) return [0, length];
  // One token must precede the first one in the loss mask.
  const start = Math.min(length - longest, firstCounted - 1);
  return [start, start + longest];
}
