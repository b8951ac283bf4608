import { UsageError } from "../../errors.js";

/** Which text loses tokens when the two together are too long. */
export type TruncationStrategy = "longest_first" | "only_first" | "only_second";

export interface TruncationOptions {
  /** Maximum number of tokens, including those of the template. */
  readonly maxLength: number;
  /** `longest_first` by default. */
  readonly strategy?: TruncationStrategy;
  /** Number of tokens that a window repeats from the previous one; 0 by default. */
  readonly stride?: number;
}

/** Tokens [start, end) of a text. */
export type Window = readonly [start: number, end: number];

/**
 * The windows into which truncation cuts one text or two, as in tokenizers' truncate_encodings: the first of each is kept, the
 * others overflow.
 *
 * @param lengths in tokens, of one text or two.
 * @param room number of tokens that both may have.
 * @throws {UsageError} the strategy can't make room, or the stride leaves no step.
 */
export function truncate(lengths: readonly number[], room: number, options: TruncationOptions): Window[][] {
  const { strategy = "longest_first", stride = 0 } = options;
  const total = lengths.reduce((sum, n) => sum + n, 0);
  if (total <= room) return lengths.map((n) => [[0, n]]);
  const kept = strategy === "longest_first" ? longestFirst(lengths, room) : onlyOne(lengths, total - room, strategy);
  return lengths.map((n, i) => windows(n, kept[i]!, stride));
}

/** The longer text is cut down to the length of the shorter; then both are cut equally. */
function longestFirst(lengths: readonly number[], room: number): number[] {
  if (lengths.length === 1) return [room];
  const [a, b] = lengths as [number, number];
  const short = Math.min(a, b);
  let long = short > room ? short : Math.max(short, room - short);
  let less = short;
  if (short + long > room) {
    less = Math.floor(room / 2);
    long = less + (room % 2);
  }
  return a > b ? [long, less] : [less, long];
}

function onlyOne(lengths: readonly number[], excess: number, strategy: TruncationStrategy): number[] {
  const which = strategy === "only_first" ? 0 : 1;
  const length = lengths[which] ?? 0;
  if (length > excess) return lengths.map((n, i) => (i === which ? n - excess : n));
  throw new UsageError({
    op: `encoding: truncation ${strategy}`,
    expected: `a ${which === 0 ? "first" : "second"} text of more than ${excess} tokens, the number to remove`,
    got: lengths[which] === undefined ? "no such text" : String(length),
  });
}

/** Windows of `size` tokens, each beginning `stride` before the end of the previous one. */
function windows(length: number, size: number, stride: number): Window[] {
  if (size >= length) return [[0, length]];
  if (size === 0)
    return [
      [0, 0],
      [0, length],
    ];
  if (stride >= size) {
    throw new UsageError({
      op: "encoding: stride",
      expected: `less than ${size}, the tokens of a window`,
      got: String(stride),
    });
  }
  const found: Window[] = [];
  for (let start = 0; ; start += size - stride) {
    const end = Math.min(start + size, length);
    found.push([start, end]);
    if (end === length) return found;
  }
}
