import type { SamplingSettings } from "../pretrained/sampling-options.js";
import { expOfNegative } from "./exp.js";
import { largest } from "./largest.js";
import { largestOf, logSumExp } from "./log-sum-exp.js";
import { Nucleus } from "./nucleus.js";
import type { Mark } from "./watermark/mark.js";

type Row = Float32Array | Float64Array;

/** A sampled token, and its log-probability (nats) under the model: before penalty, temperature and filters. */
export interface Choice {
  readonly token: number;
  readonly logprob: number;
}

/** A source of uniform random numbers, such as a {@link RandomStream}. */
export interface UniformSource {
  /** Uniform in [0, 1). */
  uniform(): number;
}

/** Samples the tokens of one sequence by {@link SamplingSettings}. Allocates nothing for a token. */
export class Sampler {
  readonly #settings: SamplingSettings;
  /** Vocabulary limit: only smaller ids are sampled. */
  readonly #vocabLimit: number;
  readonly #random: UniformSource;
  readonly #mark: Mark | undefined;
  readonly #seen = new Set<number>();
  readonly #scores: Float32Array;
  /** Every id in order, and the ids that filters keep. */
  readonly #all: Int32Array;
  readonly #ids: Int32Array;
  /** Probability over that of the likeliest token, by id. */
  readonly #weights: Float64Array;
  #nucleus: Nucleus | undefined;

  /**
   * @param vocabLimit ids from here on are never sampled: a vocabulary padded for speed ends in ids without a token.
   * @param mark chooses among the tokens that the settings leave
   */
  constructor(settings: SamplingSettings, vocabLimit: number, random: UniformSource, mark?: Mark) {
    this.#settings = settings;
    this.#vocabLimit = vocabLimit;
    this.#random = random;
    this.#mark = mark;
    this.#scores = new Float32Array(settings.repetitionPenalty === 1 ? 0 : vocabLimit);
    this.#all = Int32Array.from({ length: vocabLimit }, (_, id) => id);
    this.#ids = new Int32Array(vocabLimit);
    this.#weights = new Float64Array(vocabLimit);
  }

  /** Adds tokens of the text to those that the repetition penalty applies to. */
  see(tokens: Iterable<number>): void {
    for (const token of tokens) this.#seen.add(token);
  }

  /**
   * Samples the next token.
   *
   * @param logits [V], unchanged.
   * @throws {GPT2Error} the logits are not finite.
   */
  sample(logits: Row): Choice {
    const logSum = logSumExp(logits);
    const scores = this.#penalised(logits.subarray(0, this.#vocabLimit));
    const token = this.#settings.temperature === 0 ? this.#likeliest(scores) : this.#draw(scores);
    this.#seen.add(token);
    this.#mark?.push(token);
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

  #likeliest(scores: Row): number {
    if (this.#mark === undefined) return indexOfLargest(scores);
    const weights = this.#weights;
    const max = largestOf(scores);
    for (let id = 0; id < scores.length; id++) weights[id] = expOfNegative(scores[id]! - max);
    const draw = () => indexOfLargest(weights);
    return this.#mark.choose({ ids: this.#all, count: scores.length, weights, draw, uniform: () => 0 });
  }

  #draw(scores: Row): number {
    const { topK, topP, temperature } = this.#settings;
    const max = largestOf(scores);
    const weights = this.#weights;
    if (topK > 0 && topK < scores.length) {
      largest(scores, topK, this.#ids);
      for (let i = 0; i < topK; i++)
        weights[this.#ids[i]!] = expOfNegative((scores[this.#ids[i]!]! - max) / temperature);
      return this.#pick(this.#ids, topP < 1 ? this.#reach(topK) : topK);
    }
    for (let id = 0; id < scores.length; id++) weights[id] = expOfNegative((scores[id]! - max) / temperature);
    if (topP === 1) return this.#pick(this.#all, scores.length);
    this.#nucleus ??= new Nucleus(this.#vocabLimit);
    return this.#pick(this.#ids, this.#nucleus.select(scores, weights, temperature, topP, this.#ids));
  }

  /** The least number of the first `count` ids, likeliest first, whose weights reach topP of the sum of all `count`. */
  #reach(count: number): number {
    let missing = 0;
    for (let i = 0; i < count; i++) missing += this.#weights[this.#ids[i]!]!;
    missing *= this.#settings.topP;
    let reach = 0;
    do missing -= this.#weights[this.#ids[reach++]!]!;
    while (missing > 0 && reach < count);
    return reach;
  }

  /** One of the first `count` ids, by weight; weights below minP (the largest is 1) are left out. */
  #pick(ids: Int32Array, count: number): number {
    // Weights of 0 are never picked, at either end of [0, 1).
    const least = Math.max(this.#settings.minP, Number.MIN_VALUE);
    return this.#mark ? this.#pickMarked(this.#mark, ids, count, least) : this.#pickByWeight(ids, count, least);
  }

  #pickMarked(mark: Mark, ids: Int32Array, count: number, least: number): number {
    const weights = this.#weights;
    const left = this.#ids;
    let n = 0;
    for (let i = 0; i < count; i++) if (weights[ids[i]!]! >= least) left[n++] = ids[i]!;
    const draw = () => this.#pickByWeight(left, n, Number.MIN_VALUE);
    return mark.choose({ ids: left, count: n, weights, draw, uniform: () => this.#random.uniform() });
  }

  #pickByWeight(ids: Int32Array, count: number, least: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let i = 0; i < count; i++) if (weights[ids[i]!]! >= least) total += weights[ids[i]!]!;
    let left = this.#random.uniform() * total;
    let picked = 0;
    for (let i = 0; i < count; i++) {
      const weight = weights[ids[i]!]!;
      if (weight < least) continue;
      picked = ids[i]!;
      left -= weight;
      if (left < 0) break;
    }
    return picked;
  }
}

function indexOfLargest(values: Row): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
