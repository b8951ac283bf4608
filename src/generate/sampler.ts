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

/** Tokens that may come, and their probabilities; all others have none. */
export interface Distribution {
  readonly ids: Int32Array;
  readonly probabilities: Float64Array;
}

/** A token that a draft model proposes. */
export interface Proposal {
  readonly token: number;
  /** What it was drawn from; undefined for a guess, which is accepted where the sampler draws the same token. */
  readonly distribution: Distribution | undefined;
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
  /** Of the tokens that the chain left last. */
  #probabilities: readonly number[] = [];

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
    const scores = this.#changed(logits.subarray(0, this.#vocabLimit), this.#limit);
    const token = this.#settings.temperature === 0 ? this.#likeliest(scores) : this.#draw(scores);
    this.push(token);
    return token;
  }

  /**
   * Proposes a token from a draft model's logits, by the same settings. Where this sampler takes the likeliest token, or a
   * watermark chooses, the proposal is a guess.
   *
   * @param drafted proposals before it, which are not in the text yet
   * @param random of the draft alone
   */
  propose(logits: Row, drafted: readonly number[], random: UniformSource): Proposal {
    const added = drafted.filter((token) => !this.#seen.has(token));
    for (const token of drafted) this.#note(token);
    const scores = this.#changed(logits.subarray(0, this.#vocabLimit), undefined);
    for (const _ of drafted) this.#history?.pop();
    for (const token of added) this.#seen.delete(token);
    if (this.#settings.temperature === 0 || this.#mark)
      return { token: indexOfLargest(scores), distribution: undefined };
    const distribution = this.#distribution(scores, random);
    return { token: drawn(distribution.ids, distribution.probabilities, 1, random), distribution };
  }

  /**
   * Samples the next token, with a proposal for it: accepts the proposal with probability min(1, p/q), else draws from what p
   * exceeds q by, p being this sampler's distribution and q the proposal's. So the token has the distribution p (Leviathan et
   * al. 2023, appendix A.1; Chen et al. 2023).
   *
   * @param logits [V], unchanged.
   */
  verify(logits: Row, { token: proposed, distribution: q }: Proposal): number {
    if (!q) return this.sample(logits);
    const scores = this.#changed(logits.subarray(0, this.#vocabLimit), this.#limit);
    const p = this.#distribution(scores, this.#random);
    const token = accepts(p, q, proposed, this.#random) ? proposed : drawExcess(p, q, this.#random);
    this.#chain?.drawn(probabilityOf(p, token));
    this.push(token);
    return token;
  }

  /** Adds a token to the text that was not sampled. */
  push(token: number): void {
    this.#note(token);
    this.#mark?.push(token);
  }

  #note(token: number): void {
    this.#seen.add(token);
    this.#history?.push(token);
  }

  /** Logits after penalties, biases and limits. */
  #changed(logits: Row, limit: Limit | undefined): Row {
    const { repetitionPenalty: penalty } = this.#settings;
    if (penalty === 1 && !this.#history && !limit) return logits;
    const { scores } = scratchOf(this.#vocabLimit);
    scores.set(logits);
    if (penalty !== 1) this.#penalise(scores, penalty);
    this.#history?.apply(scores);
    limit?.apply(scores);
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
    const { ids, count, least } = this.#keep(scores, this.#random);
    const token = this.#mark ? this.#pickMarked(this.#mark, ids, count, least) : this.#pickByWeight(ids, count, least);
    this.#chain?.drawn(this.#probabilities[ids.indexOf(token)]!);
    return token;
  }

  /** The tokens that the settings leave: the first `count` ids, but for those whose weights are below `least`. */
  #keep(scores: Row, random: UniformSource): { ids: Int32Array; count: number; least: number } {
    const { topK, topP, temperature, minP } = this.#settings;
    const memory = scratchOf(this.#vocabLimit);
    const { weights, ids, all } = memory;
    if (this.#chain) return { ids, count: this.#keepInSteps(this.#chain, scores, random), least: Number.MIN_VALUE };
    // A weight of 0 is never drawn, at either end of [0, 1).
    const least = Math.max(minP, Number.MIN_VALUE);
    if (topK > 0 && topK < scores.length) {
      const max = likeliest(scores, topK, ids);
      for (let i = 0; i < topK; i++) weights[ids[i]!] = expOfNegative((scores[ids[i]!]! - max) / temperature);
      return { ids, count: topP < 1 ? this.#reach(topK) : topK, least };
    }
    const max = scores[indexOfLargest(scores)]!;
    for (let id = 0; id < scores.length; id++) weights[id] = expOfNegative((scores[id]! - max) / temperature);
    if (topP === 1) return { ids: all, count: scores.length, least };
    return { ids, count: memory.nucleus.select(scores, weights, temperature, topP, ids), least };
  }

  #keepInSteps(chain: SamplerChain, scores: Row, random: UniformSource): number {
    const { weights, ids } = scratchOf(this.#vocabLimit);
    // Chains need one finite score, and none that is NaN.
    indexOfLargest(scores);
    const { ids: left, probabilities } = chain.candidates(scores, random);
    this.#probabilities = probabilities;
    for (const [i, id] of left.entries()) {
      ids[i] = id;
      weights[id] = probabilities[i]! / probabilities[0]!;
    }
    return left.length;
  }

  /** The distribution that tokens are drawn from, in memory of its own. */
  #distribution(scores: Row, random: UniformSource): Distribution {
    const { ids: kept, count, least } = this.#keep(scores, random);
    const { weights } = scratchOf(this.#vocabLimit);
    const ids = kept.slice(0, count).filter((id) => weights[id]! >= least);
    const probabilities = Float64Array.from(ids, (id) => weights[id]!);
    const total = probabilities.reduce((a, b) => a + b, 0);
    return { ids, probabilities: probabilities.map((weight) => weight / total) };
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

/** One of the ids, by weights of the sum `total`. */
function drawn(ids: Int32Array, weights: Float64Array, total: number, random: UniformSource): number {
  let left = random.uniform() * total;
  let picked = ids[0]!;
  for (let i = 0; i < ids.length; i++) {
    if (weights[i] === 0) continue;
    picked = ids[i]!;
    left -= weights[i]!;
    if (left < 0) break;
  }
  return picked;
}

function probabilityOf({ ids, probabilities }: Distribution, token: number): number {
  const place = ids.indexOf(token);
  return place < 0 ? 0 : probabilities[place]!;
}

function accepts(p: Distribution, q: Distribution, token: number, random: UniformSource): boolean {
  return random.uniform() * probabilityOf(q, token) < probabilityOf(p, token);
}

/** A token by what its probability under p exceeds that under q by. */
function drawExcess(p: Distribution, q: Distribution, random: UniformSource): number {
  const under = new Map(Array.from(q.ids, (id, i) => [id, q.probabilities[i]!]));
  const excess = p.probabilities.map((probability, i) => Math.max(0, probability - (under.get(p.ids[i]!) ?? 0)));
  const total = excess.reduce((a, b) => a + b, 0);
  // Rounding may leave nothing where both are the same.
  return total > 0 ? drawn(p.ids, excess, total, random) : drawn(p.ids, p.probabilities, 1, random);
}

/** Puts the `count` likeliest ids into `ids`, and returns the score of the first. @throws {GPT2Error} it is not finite. */
function likeliest(scores: Row, count: number, ids: Int32Array): number {
  const score = largest(scores, count, ids) ? scores[ids[0]!]! : Number.NaN;
  if (Number.isFinite(score)) return score;
  throw notFinite("sampling the next token", score);
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
