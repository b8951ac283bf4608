import { ByteSet } from "../byte-set.js";
import type { Expression, Expressions } from "./expressions.js";

/** Ranges of code points, both ends included; sorted, not adjacent. */
export type CodePoints = readonly (readonly [from: number, to: number])[];

export const LAST_CODE_POINT = 0x10ffff;

/** Sorts and merges ranges. */
export function codePoints(ranges: CodePoints): CodePoints {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function complement(ranges: CodePoints): CodePoints {
  const result: [number, number][] = [];
  let next = 0;
  for (const [from, to] of codePoints(ranges)) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST_CODE_POINT) result.push([next, LAST_CODE_POINT]);
  return result;
}

export const intersection = (a: CodePoints, b: CodePoints): CodePoints =>
  complement([...complement(a), ...complement(b)]);

/** The first and last code point of each length of UTF-8, without surrogates, which have no UTF-8. */
const LENGTHS = [
  [0, 0x7f],
  [0x80, 0x7ff],
  [0x800, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, LAST_CODE_POINT],
] as const;

/** The UTF-8 of any of the code points. */
export function utf8(pool: Expressions, ranges: CodePoints): Expression {
  const all = LENGTHS.flatMap(([from, to]) => intersection(ranges, [[from, to]]));
  return pool.either(...all.map(([from, to]) => utf8Range(pool, encode(from), encode(to))));
}

const encode = (codePoint: number): number[] => [...new TextEncoder().encode(String.fromCodePoint(codePoint))];

/** UTF-8 sequences between two of the same length. */
function utf8Range(pool: Expressions, from: readonly number[], to: readonly number[]): Expression {
  const [first, last] = [from[0]!, to[0]!];
  if (from.length === 1) return pool.bytes(ByteSet.ranges([first, last]));
  const [restFrom, restTo] = [from.slice(1), to.slice(1)];
  const [least, most] = [restFrom.map(() => 0x80), restTo.map(() => 0xbf)];
  const after = (a: number, b: number, rest: Expression): Expression =>
    a > b ? pool.nothing : pool.sequence(pool.bytes(ByteSet.ranges([a, b])), rest);
  if (first === last) return after(first, first, utf8Range(pool, restFrom, restTo));
  const [startsEven, endsEven] = [restFrom.every((b) => b === 0x80), restTo.every((b) => b === 0xbf)];
  return pool.either(
    startsEven ? pool.nothing : after(first, first, utf8Range(pool, restFrom, most)),
    after(startsEven ? first : first + 1, endsEven ? last : last - 1, utf8Range(pool, least, most)),
    endsEven ? pool.nothing : after(last, last, utf8Range(pool, least, restTo)),
  );
}

/** The code points that a JavaScript regular expression with the flag u matches, such as `\p{L}`. */
export function matchedBy(source: string): CodePoints {
  const known = classes.get(source);
  if (known) return known;
  const pattern = new RegExp(`^${source}$`, "u");
  const ranges: [number, number][] = [];
  for (let c = 0; c <= LAST_CODE_POINT; c++) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    if (!pattern.test(String.fromCodePoint(c))) continue;
    const last = ranges.at(-1);
    if (last && last[1] === c - 1) last[1] = c;
    else ranges.push([c, c]);
  }
  if (classes.size < 64) classes.set(source, ranges);
  return ranges;
}

const classes = new Map<string, CodePoints>();
