import { expOfNegative } from "./exp.js";
import { largest } from "./largest.js";
import { largestOf, logSumExp } from "./log-sum-exp.js";
import type { SamplingSettings } from "./sampling-options.js";

type Row = Float32Array | Float64Array;

/** A token that was chosen, and its log-probability (nats) as the model gave it: before penalty, temperature, filters. */
export interface Choice {
  readonly token: number;
  readonly logprob: number;
}

/** Where chance comes from: a {@link RandomStream}. */
export interface UniformSource {
  /** Uniform in [0, 1). */
  uniform(): number;
}

/** Tokens looked at first when only their summed probability says how many are needed; then eight times as many. */
const FIRST_LOOK = 64;

/** Chooses tokens, one sequence's after another, by {@link SamplingSettings}. Allocates nothing for a token. */
export class Sampler {
  readonly #settings: SamplingSettings;
  /** Ids that may be chosen: those below. */
  readonly #choices: number;
  readonly #random: UniformSource;
  readonly #seen = new Set<number>();
  readonly #scores: Float32Array;
  readonly #ids: Int32Array;
  readonly #weights: Float64Array;

  /** @param choices ids from here on are never chosen: a vocabulary padded for speed has some that mean nothing. */
  constructor(settings: SamplingSettings, choices: number, random: UniformSource) {
    this.#settings = settings;
    this.#choices = choices;
    this.#random = random;
    this.#scores = new Float32Array(settings.repetitionPenalty === 1 ? 0 : choices);
    this.#ids = new Int32Array(choices);
    this.#weights = new Float64Array(choices);
  }

  /** Tells of tokens that are in the text already. */
  see(tokens: Iterable<number>): void {
    for (const token of tokens) this.#seen.add(token);
  }

  /**
   * Draws the next token.
   *
   * @param logits [V], left as they are.
   * @throws {GPT2Error} the logits are not finite.
   */
  sample(logits: Row): Choice {
    const logSum = logSumExp(logits);
    const scores = this.#penalised(logits.subarray(0, this.#choices));
    const token = this.#settings.temperature === 0 ? indexOfLargest(scores) : this.#draw(scores);
    this.#seen.add(token);
    return { token, logprob: logits[token]! - logSum };
  }

  #penalised(logits: Row): Row {
    const { repetitionPenalty: penalty } = this.#settings;
    if (penalty === 1) return logits;
    const scores = this.#scores;
    scores.set(logits);
    for (const token of this.#seen) {
      const score = scores[token];
      if (score !== undefined) scores[token] = score < 0 ? score * penalty : score / penalty;
    }
    return scores;
  }

  #draw(scores: Row): number {
    const { topK, topP } = this.#settings;
    const max = largestOf(scores);
    if (topK > 0) return this.#drawFromLargest(scores, max, Math.min(topK, scores.length));
    if (topP < 1) return this.#drawFromNucleus(scores, max);
    return this.#drawFromAll(scores, max);
  }

  /** Probability over that of the likeliest token. */
  #weight(score: number, max: number): number {
    return expOfNegative((score - max) / this.#settings.temperature);
  }

  /** One of the `count` likeliest tokens, further narrowed by top-p and min-p. */
  #drawFromLargest(scores: Row, max: number, count: number): number {
    largest(scores, count, this.#ids);
    let total = 0;
    for (let i = 0; i < count; i++) total += this.#weights[i] = this.#weight(scores[this.#ids[i]!]!, max);
    return this.#drawFromSorted(this.#reach(count, total) ?? count);
  }

  /** As {@link #drawFromLargest} of all tokens, without sorting them all. */
  #drawFromNucleus(scores: Row, max: number): number {
    let total = 0;
    for (let i = 0; i < scores.length; i++) total += this.#weight(scores[i]!, max);
    for (let look = FIRST_LOOK; ; look *= 8) {
      const count = Math.min(look, scores.length);
      largest(scores, count, this.#ids);
      for (let i = 0; i < count; i++) this.#weights[i] = this.#weight(scores[this.#ids[i]!]!, max);
      const reach = this.#reach(count, total);
      if (reach !== undefined) return this.#drawFromSorted(reach);
      // Summed in another order they may just miss a topP next to 1.
      if (count === scores.length) return this.#drawFromSorted(count);
    }
  }

  /** How many of the first `count` weights, sorted, it takes to reach topP of `total`; undefined if they don't. */
  #reach(count: number, total: number): number | undefined {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += this.#weights[i]!;
      if (sum >= this.#settings.topP * total) return i + 1;
    }
    return undefined;
  }

  #drawFromSorted(count: number): number {
    let kept = 1;
    while (kept < count && this.#weights[kept]! >= this.#settings.minP) kept++;
    return this.#ids[this.#pick(kept)]!;
  }

  #drawFromAll(scores: Row, max: number): number {
    const { minP } = this.#settings;
    for (let i = 0; i < scores.length; i++) {
      const weight = this.#weight(scores[i]!, max);
      this.#weights[i] = weight >= minP ? weight : 0;
    }
    return this.#pick(scores.length);
  }

  /** An index below `count`, each with probability proportional to its weight. */
  #pick(count: number): number {
    let total = 0;
    let last = 0;
    for (let i = 0; i < count; i++) total += this.#weights[i]!;
    let left = this.#random.uniform() * total;
    for (let i = 0; i < count; i++) {
      const weight = this.#weights[i]!;
      if (weight === 0) continue;
      last = i;
      left -= weight;
      if (left < 0) break;
    }
    return last;
  }
}

function indexOfLargest(values: Row): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
