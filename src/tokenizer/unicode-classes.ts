import { UNICODE_RUNS } from "./unicode-runs.js";

/** Classes of code points that GPT-2's pre-tokenizer distinguishes. */
export const OTHER = 0;
/** `\p{L}` */
export const LETTER = 1;
/** `\p{N}` */
export const NUMBER = 2;
/** Unicode White_Space. JavaScript's `\s` differs: it contains U+FEFF and lacks U+0085. */
export const SPACE = 3;

/**
 * A table of our own instead of regular expressions, since the Unicode version of a JavaScript engine changes from
 * release to release, and ids would change with it. Unicode 16.0: tiktoken (npm 1.0.22, PyPI 0.14) and Hugging Face
 * tokenizers 0.23 agree with it on every code point. GPT-2 was trained under Unicode 11 or 12; its text hardly has
 * characters assigned since.
 */
const CLASSES = readRuns(UNICODE_RUNS);

function readRuns(runs: string): Uint8Array {
  const parsed = Array.from(runs.matchAll(/([0-9a-z]+)([-LNS])/g), (run) => ({
    length: Number.parseInt(run[1]!, 36),
    kind: "-LNS".indexOf(run[2]!),
  }));
  const classes = new Uint8Array(parsed.reduce((sum, run) => sum + run.length, 0));
  let at = 0;
  for (const { length, kind } of parsed) classes.fill(kind, at, (at += length));
  return classes;
}

/** Class of a code point, 0 to 0x10FFFF. */
export function classOf(codePoint: number): number {
  return codePoint < CLASSES.length ? CLASSES[codePoint]! : OTHER;
}
