import { nextSpace } from "./words.js";

/**
 * What is looked up of an item of an evaluation, as the model reads it, with the right answer in its place: a text, or a
 * stretch of a longer one.
 */
export type ItemText = string | Stretch;

/** A stretch of a document; an n-gram belongs to the stretch it ends in. */
export interface Stretch {
  /** The document's UTF-8 up to the stretch. */
  readonly before: Uint8Array;
  readonly text: string;
}

/** The stretch of a document between two places, each moved on to white space, so that stretches cut no word. */
export function stretchOf(utf8: Uint8Array, from: number, to: number): Stretch {
  const start = from === 0 ? 0 : nextSpace(utf8, from);
  const end = nextSpace(utf8, to);
  return { before: utf8.subarray(0, start), text: new TextDecoder().decode(utf8.subarray(start, end)) };
}
