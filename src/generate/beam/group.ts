/** An unfinished continuation. */
export interface Beam {
  /** The generated tokens. */
  readonly tokens: readonly number[];
  /** Their log-probabilities in the model's own distribution. */
  readonly logprobs: readonly number[];
  /** Sum of their values: log-probabilities after penalties and limits. */
  readonly sum: number;
  /** Index among the group's beams of the step before. */
  readonly parent: number;
}

/** A complete continuation. */
export interface FinishedBeam extends Beam {
  /** sum / length ** lengthPenalty. */
  readonly score: number;
}

/** A token that may follow a beam. */
export interface Candidate {
  readonly token: number;
  readonly logprob: number;
  /** The log-probability after penalties and limits. */
  readonly value: number;
}

export interface GroupSettings {
  readonly size: number;
  readonly maxNewTokens: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | "never";
  readonly diversityPenalty: number;
  /** Whether a continuation is complete with its last token. */
  readonly ends: (tokens: readonly number[]) => boolean;
}

/** A beam and one more token, and how it ranks in this step. */
interface Extended {
  readonly beam: Beam;
  readonly rank: number;
}

/**
 * Beam search of one group, as Hugging Face transformers has it. Naively: extend each beam by every token; of all these
 * continuations take the `size` likeliest that are not complete, and set aside those that are complete among the `size`
 * likeliest. Only the likeliest tokens of each beam can be among them.
 */
export class BeamGroup {
  readonly #settings: GroupSettings;
  /** Likeliest first. Empty once the search is over. */
  running: readonly Beam[] = [{ tokens: [], logprobs: [], sum: 0, parent: 0 }];
  /** At most `size`, best first. */
  finished: readonly FinishedBeam[] = [];

  constructor(settings: GroupSettings) {
    this.#settings = settings;
  }

  /**
   * Takes a step. Returns the last tokens of the continuations that it chose, complete ones too.
   *
   * @param candidates of each running beam, likeliest first, as many as can matter
   * @param taken how often groups before this one took each token in this step
   */
  step(candidates: readonly (readonly Candidate[])[], taken: ReadonlyMap<number, number>): number[] {
    const { size } = this.#settings;
    const next: Beam[] = [];
    const complete: FinishedBeam[] = [];
    for (const [i, { beam }] of this.#ranked(candidates, taken).entries()) {
      if (!this.#ends(beam.tokens)) next.push(beam);
      else if (i < size) complete.push({ ...beam, score: this.#score(beam.sum, beam.tokens.length) });
      if (next.length === size) break;
    }
    this.finished = [...this.finished, ...complete].sort((a, b) => b.score - a.score).slice(0, size);
    this.running = this.#over(next) ? [] : next;
    return [...next, ...complete].map(({ tokens }) => tokens.at(-1)!);
  }

  /** Likeliest first, the first of the beams and the lower id first among equals. */
  #ranked(candidates: readonly (readonly Candidate[])[], taken: ReadonlyMap<number, number>): Extended[] {
    const { diversityPenalty } = this.#settings;
    return this.running
      .flatMap((beam, parent) =>
        candidates[parent]!.filter(({ value }) => value > -Infinity).map(({ token, logprob, value }) => {
          const sum = beam.sum + value;
          const rank = sum - diversityPenalty * (taken.get(token) ?? 0);
          return {
            beam: { tokens: [...beam.tokens, token], logprobs: [...beam.logprobs, logprob], sum, parent },
            rank,
          };
        }),
      )
      .sort(
        (a, b) => b.rank - a.rank || a.beam.parent - b.beam.parent || a.beam.tokens.at(-1)! - b.beam.tokens.at(-1)!,
      );
  }

  #ends(tokens: readonly number[]): boolean {
    return tokens.length === this.#settings.maxNewTokens || this.#settings.ends(tokens);
  }

  #score(sum: number, length: number): number {
    return sum / length ** this.#settings.lengthPenalty;
  }

  /**
   * Whether no continuation is unfinished, or the unfinished ones can no longer (by the settings' rule) score more than
   * the complete ones.
   */
  #over(next: readonly Beam[]): boolean {
    const { size, earlyStopping, lengthPenalty, maxNewTokens } = this.#settings;
    if (next.length === 0) return true;
    if (this.finished.length < size) return false;
    if (earlyStopping === true) return true;
    const best = next[0]!;
    const length = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : best.tokens.length;
    return this.#score(best.sum, length) <= this.finished.at(-1)!.score;
  }
}
