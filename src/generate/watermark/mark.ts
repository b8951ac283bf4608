/** The tokens left by penalties, temperature and filters, with their weights. */
export interface Candidates {
  /** The first `count` of these are the candidates, in no order. */
  readonly ids: Int32Array;
  readonly count: number;
  /** Probability of each id, divided by that of the likeliest token. A mark may change the candidates' weights. */
  readonly weights: Float64Array;
  /** Draws a candidate by weight. With unchanged weights this is the ordinary sample. */
  draw(): number;
  /** The next number of the sample's random stream, in [0, 1). */
  uniform(): number;
}

/**
 * The watermark in one text: chooses its tokens in the sampler's place, after penalty, temperature and filters. It is called
 * once for each token of the text, so rejected drafts leave no trace.
 */
export interface Mark {
  /** Chooses the next token from the candidates. */
  choose(candidates: Candidates): number;
  /** Adds a token to the text: the chosen one, or another that the caller took. */
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
