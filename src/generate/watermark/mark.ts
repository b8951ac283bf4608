/** The tokens that penalties, temperature and filters leave, with their weights. */
export interface Candidates {
  /** The first `count` of these are the candidates, in no order. */
  readonly ids: Int32Array;
  readonly count: number;
  /** Probability over that of the likeliest token, by id. A mark may change those of candidates. */
  readonly weights: Float64Array;
  /** Draws a candidate by weight: the ordinary sample while the weights are unchanged. */
  draw(): number;
  /** The next number of the sample's random stream, in [0, 1). */
  uniform(): number;
}

/**
 * The watermark in one text: decides its tokens in the sampler's place, after penalty, temperature and filters. It is
 * called once for each token of the text, so drafts that are rejected leave no trace in it.
 */
export interface Mark {
  /** Chooses the next token among candidates. */
  choose(candidates: Candidates): number;
  /** Adds a token to the text: the one chosen, or another that the caller took. */
  push(token: number): void;
}

/** A watermark with its key. */
export interface Watermark {
  /**
   * The mark of a new text.
   *
   * @param sample index of the text among those made from one prompt
   */
  mark(prompt: readonly number[], sample: number): Mark;
}
