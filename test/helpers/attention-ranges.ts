/** The key rows that each of N tokens attends to, for the kinds of attention that GPT-2 and its kin use. */
export interface Ranges {
  readonly first: Int32Array;
  readonly last: Int32Array;
}

const ranges = (N: number, first: (n: number) => number, last: (n: number) => number): Ranges => ({
  first: Int32Array.from({ length: N }, (_, n) => first(n)),
  last: Int32Array.from({ length: N }, (_, n) => last(n)),
});

/** One sequence; each token sees itself and the tokens before it. */
export const causal = (N: number): Ranges =>
  ranges(
    N,
    () => 0,
    (n) => n,
  );

/** One sequence, each token sees all. */
export const bidirectional = (N: number): Ranges =>
  ranges(
    N,
    () => 0,
    () => N - 1,
  );

/** Several sequences of these lengths one after another, causal or not within each. */
export function packed(lengths: readonly number[], kind: "causal" | "bidirectional"): Ranges {
  const starts = lengths.flatMap((length, i) => {
    const start = lengths.slice(0, i).reduce((a, b) => a + b, 0);
    return Array.from({ length }, () => ({ start, end: start + length - 1 }));
  });
  return ranges(
    starts.length,
    (n) => starts[n]!.start,
    (n) => (kind === "causal" ? n : starts[n]!.end),
  );
}

/** The same ranges, limited to the last `width` rows of each. */
export const windowed = ({ first, last }: Ranges, width: number): Ranges =>
  ranges(
    first.length,
    (n) => Math.max(first[n]!, last[n]! - width + 1),
    (n) => last[n]!,
  );

/** Causal over the last `width` tokens only. */
export const sliding = (N: number, width: number): Ranges => windowed(causal(N), width);

/** One token of each of several cached sequences: sequence i holds `lengths[i]` rows of its `capacity`. */
export const cached = (lengths: readonly number[], capacity: number): Ranges =>
  ranges(
    lengths.length,
    (n) => n * capacity,
    (n) => n * capacity + lengths[n]! - 1,
  );

/**
 * New tokens of sequences that have rows in the cache: [tokens, rows before them] of each; sequence i starts at its
 * slot.
 */
export function continued(sequences: readonly (readonly [tokens: number, before: number])[], capacity: number): Ranges {
  const tokens = sequences.flatMap(([count, before], i) =>
    Array.from({ length: count }, (_, j) => ({ start: i * capacity, end: i * capacity + before + j })),
  );
  return ranges(
    tokens.length,
    (n) => tokens[n]!.start,
    (n) => tokens[n]!.end,
  );
}
