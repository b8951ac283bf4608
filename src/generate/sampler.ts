import type { SamplingSettings } from "../pretrained/sampling-options.js";
import { expOfNegative } from "./exp.js";
import { largest } from "./largest.js";
import type { Limit } from "./limit.js";
import { notFinite } from "./log-sum-exp.js";
import { Nucleus } from "./nucleus.js";
import { SamplerChain } from "./sampling/chain.js";
import { History } from "./sampling/history.js";
import type { MoreSampling } from "./sampling/options.js";
import type { Mark } from "./watermark/mark.js";

type Row = Float32Array | Float64Array;

/** A source of uniform random numbers, such as a {@link RandomStream}. */
export interface UniformSource {
  /** Uniform in [0, 1). */
  uniform(): number;
}

/**
 * Memory for sampling one token, as large as the vocabulary. All samplers of a thread share it, because none keeps anything
 * in it between tokens.
 */
class Scratch {
  readonly scores: Float32Array;
  /** All ids in order, and the ids that filters keep. */
  readonly all: Int32Array;
  readonly ids: Int32Array;
  /** Probability of each id, divided by that of the likeliest token. */
  readonly weights: Float64Array;
  #nucleus: Nucleus | undefined;

  constructor(readonly size: number) {
    this.scores = new Float32Array(size);
    this.all = Int32Array.from({ length: size }, (_, id) => id);
    this.ids = new Int32Array(size);
    this.weights = new Float64Array(size);
  }

  get nucleus(): Nucleus {
    this.#nucleus ??= new Nucleus(this.size);
    return this.#nucleus;
  }
}

let scratch = new Scratch(0);

function scratchOf(size: number): Scratch {
  if (scratch.size !== size) scratch = new Scratch(size);
  return scratch;
}

/** Samples the tokens of one sequence by {@link SamplingSettings}. Allocates nothing for a token. */
export class Sampler {
  readonly #settings: SamplingSettings;
  /** Vocabulary limit: only smaller ids are ever sampled. */
  readonly #vocabLimit: number;
  readonly #random: UniformSource;
  readonly #mark: Mark | undefined;
  readonly #seen = new Set<number>();
  readonly #history: History | undefined;
  readonly #chain: SamplerChain | undefined;
  readonly #limit: Limit | undefined;

  /**
   * @param vocabLimit ids from here on are never sampled: a padded vocabulary ends in ids without a token.
   * @param mark chooses among the tokens that the settings leave
   * @param limit what the text may go on with
   */
  constructor(
    settings: SamplingSettings,
    vocabLimit: number,
    random: UniformSource,
    mark?: Mark,
    more?: MoreSampling,
    eosTokenIds: readonly number[] = [],
    limit?: Limit,
  ) {
    if (more?.changesLogits) this.#history = new History(more, eosTokenIds);
    if (more?.needsChain && settings.temperature > 0) this.#chain = new SamplerChain(settings, more);
    this.#settings = settings;
    this.#vocabLimit = vocabLimit;
    this.#random = random;
    this.#mark = mark;
    this.#limit = limit;
  }

  /** Adds tokens of the text, to which the repetition penalty then applies. */
  see(tokens: Iterable<number>): void {
    const list = [...tokens];
    for (const token of list) this.#seen.add(token);
    this.#history?.see(list);
  }

  /**
   * Samples the next token.
   *
   * @param logits [V], unchanged.
   * @throws {GPT2Error} the logits define no distribution.
   */
  sample(logits: Row): number {
    const scores = this.#changed(logits.subarray(0, this.#vocabLimit));
    const token = this.#settings.temperature === 0 ? this.#likeliest(scores) : this.#draw(scores);
    this.push(token);
    return token;
  }

  /** Adds a token to the text that was not sampled. */
  push(token: number): void {
    this.#seen.add(token);
    this.#history?.push(token);
    this.#mark?.push(token);
  }

  /** Logits after penalties, biases and limits. */
  #changed(logits: Row): Row {
    const { repetitionPenalty: penalty } = this.#settings;
    if (penalty === 1 && !this.#history && !this.#limit) return logits;
    const { scores } = scratchOf(this.#vocabLimit);
    scores.set(logits);
    if (penalty !== 1) this.#penalise(scores, penalty);
    this.#history?.apply(scores);
    this.#limit?.apply(scores);
    return scores;
  }

  #penalise(scores: Float32Array, penalty: number): void {
    for (const token of this.#seen) {
      const score = scores[token];
      if (score !== undefined) scores[token] = score < 0 ? score * penalty : score / penalty;
    }
  }

  #likeliest(scores: Row): number {
    if (this.#mark === undefined) return indexOfLargest(scores);
    const { weights, all } = scratchOf(this.#vocabLimit);
    const max = scores[indexOfLargest(scores)]!;
    for (let id = 0; id < scores.length; id++) weights[id] = expOfNegative(scores[id]! - max);
    const draw = () => indexOfLargest(weights);
    return this.#mark.choose({ ids: all, count: scores.length, weights, draw, uniform: () => 0 });
  }

  #draw(scores: Row): number {
    const { topK, topP, temperature } = this.#settings;
    const memory = scratchOf(this.#vocabLimit);
    const { weights, ids, all } = memory;
    const max = scores[indexOfLargest(scores)]!;
    if (this.#chain) return this.#drawInSteps(this.#chain, scores);
    if (topK > 0 && topK < scores.length) {
      largest(scores, topK, ids);
      for (let i = 0; i < topK; i++) weights[ids[i]!] = expOfNegative((scores[ids[i]!]! - max) / temperature);
      return this.#pick(ids, topP < 1 ? this.#reach(topK) : topK);
    }
    for (let id = 0; id < scores.length; id++) weights[id] = expOfNegative((scores[id]! - max) / temperature);
    if (topP === 1) return this.#pick(all, scores.length);
    return this.#pick(ids, memory.nucleus.select(scores, weights, temperature, topP, ids));
  }

  #drawInSteps(chain: SamplerChain, scores: Row): number {
    const { weights, ids } = scratchOf(this.#vocabLimit);
    const { ids: left, probabilities } = chain.candidates(scores, this.#random);
    for (const [i, id] of left.entries()) {
      ids[i] = id;
      weights[id] = probabilities[i]! / probabilities[0]!;
    }
    const token = this.#pick(ids, left.length, Number.MIN_VALUE);
    chain.drawn(probabilities[left.indexOf(token)]!);
    return token;
  }

  /** The smallest number of leading ids whose weights reach topP of the sum of the first `count`, which are likeliest first. */
  #reach(count: number): number {
    const { weights, ids } = scratchOf(this.#vocabLimit);
    let missing = 0;
    for (let i = 0; i < count; i++) missing += weights[ids[i]!]!;
    missing *= this.#settings.topP;
    let reach = 0;
    do missing -= weights[ids[reach++]!]!;
    while (missing > 0 && reach < count);
    return reach;
  }

  /** Draws one of the first `count` ids by weight, leaving out weights below minP (the largest weight is 1). */
  #pick(ids: Int32Array, count: number, minP = this.#settings.minP): number {
    // A weight of 0 is never drawn, at either end of [0, 1).
    const least = Math.max(minP, Number.MIN_VALUE);
    return this.#mark ? this.#pickMarked(this.#mark, ids, count, least) : this.#pickByWeight(ids, count, least);
  }

  #pickMarked(mark: Mark, ids: Int32Array, count: number, least: number): number {
    const { weights, ids: left } = scratchOf(this.#vocabLimit);
    let n = 0;
    for (let i = 0; i < count; i++) if (weights[ids[i]!]! >= least) left[n++] = ids[i]!;
    const draw = () => this.#pickByWeight(left, n, Number.MIN_VALUE);
    return mark.choose({ ids: left, count: n, weights, draw, uniform: () => this.#random.uniform() });
  }

  #pickByWeight(ids: Int32Array, count: number, least: number): number {
    const { weights } = scratchOf(this.#vocabLimit);
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
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value > values[best]!) best = i;
    else if (Number.isNaN(value)) throw notFinite("sampling the next token", value);
  }
  if (Number.isFinite(values[best])) return best;
  throw notFinite("sampling the next token", values[best]!);
}
