/** The tokens of a pass, i32 [N] each, N = B · T. */
export interface HostBatch {
  readonly tokens: Int32Array;
  /**
   * The token that follows each token; negative where the loss is masked. With a task head: the index of the label (0 for
   * regression) at the token that the head reads, negative elsewhere.
   */
  readonly targets: Int32Array;
  /** Position of each token in its document. */
  readonly positions: Int32Array;
  /** Index of the first token that each token sees: the start of its text. */
  readonly first: Int32Array;
  /** For a BERT: the token's type, 0 in a first text and 1 in a second. */
  readonly tokenTypes: Int32Array;
  /** For a BERT, at the first token of a pair: 0 if the second text follows the first, 1 if not; negative elsewhere. */
  readonly next: Int32Array;
  /** f32 [N], for regression: the target at the token that the head reads. */
  readonly values: Float32Array;
}

/**
 * Fills a batch for pass number `pass`, and returns the number of unmasked targets. The batch arrives as B consecutive sequences
 * of T tokens, with all targets masked.
 */
export type FillBatch = (pass: number, batch: HostBatch) => number;

export function hostBatch(N: number): HostBatch {
  const integers = () => new Int32Array(N);
  return {
    tokens: integers(),
    targets: integers(),
    positions: integers(),
    first: integers(),
    tokenTypes: integers(),
    next: integers(),
    values: new Float32Array(N),
  };
}
