import type { SamplingSettings } from "../pretrained/sampling-options.js";
import { expOfNegative } from "./exp.js";
import type { Limit } from "./limit.js";
import { SamplerChain } from "./sampling/chain.js";
import { History } from "./sampling/history.js";
import type { MoreSampling } from "./sampling/options.js";
import { NO_FLOOR, type RowSummary, type SummarySettings, topsOnly } from "./sampling/row-summary.js";
import { type Changes, type ScoredRow, scaleOf, scoredRow } from "./sampling/scored-row.js";
import type { Mark } from "./watermark/mark.js";

type Row = Float32Array | Float64Array;

/** A source of uniform random numbers, such as a {@link RandomStream}. */
export interface UniformSource {
  /** Uniform in [0, 1). */
  uniform(): number;
}

/** Tokens that may come, and their probabilities; all others have none. */
export interface Distribution {
  readonly ids: Int32Array;
  readonly probabilities: Float64Array;
}

/** A token that a draft model proposes. */
export interface Proposal {
  readonly token: number;
  /**
   * The distribution that it was drawn from; undefined for a guess, which is accepted where the sampler draws the same
   * token.
   */
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
  /** Weights of the tokens that remain at the end of the chain. */
  #probabilities: Float64Array = new Float64Array();

  /**
   * @param vocabLimit ids from here on are never sampled: a padded vocabulary ends in ids without a token.
   * @param mark chooses among the tokens that the settings leave
   * @param limit the tokens that may follow
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

  /** Settings of a summary of logits that saves this sampler the most work. */
  get wanted(): SummarySettings {
    const { temperature, topP, minP } = this.#settings;
    const limit = this.#vocabLimit;
    const bounded = this.#chain?.bound !== undefined;
    if (!bounded && (temperature === 0 || this.#chain || this.#topK > 0)) return topsOnly(limit);
    const scale = scaleOf(temperature);
    if (bounded) return { limit, scale, share: 1, floor: NO_FLOOR };
    // Penalties move the bar. A nucleus can be moved too, but not below the bar of a limit or of min-p.
    if (this.#changesLogits) return { limit, scale, share: this.#limit || minP > 0 ? 1 : topP, floor: NO_FLOOR };
    return { limit, scale, share: topP, floor: minP > 0 ? Math.max(NO_FLOOR, Math.log(minP) / scale) : NO_FLOOR };
  }

  /**
   * Samples the next token.
   *
   * @param logits [V], unchanged.
   * @param summary of the logits, as {@link wanted}
   * @throws {GPT2Error} the logits define no distribution.
   */
  sample(logits: Row, summary?: RowSummary): number {
    const row = this.#row(logits, summary, this.#limit);
    const token = this.#settings.temperature === 0 ? this.#likeliest(row) : this.#draw(row);
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
    const row = this.#row(logits, undefined, undefined);
    for (const _ of drafted) this.#history?.pop();
    for (const token of added) this.#seen.delete(token);
    if (this.#settings.temperature === 0 || this.#mark) return { token: row.likeliest, distribution: undefined };
    const distribution = this.#distribution(row, random);
    return { token: drawn(distribution.ids, distribution.probabilities, 1, random), distribution };
  }

  /**
   * Samples the next token, with a proposal for it: accepts the proposal with probability min(1, p/q), else draws from
   * the positive part of p - q, where p is this sampler's distribution and q the proposal's. So the token has the
   * distribution p (Leviathan et al. 2023, appendix A.1; Chen et al. 2023).
   *
   * @param logits [V], unchanged.
   */
  verify(logits: Row, { token: proposed, distribution: q }: Proposal, summary?: RowSummary): number {
    if (!q) return this.sample(logits, summary);
    const row = this.#row(logits, summary, this.#limit);
    const p = this.#distribution(row, this.#random);
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

  get #changesLogits(): boolean {
    return this.#settings.repetitionPenalty !== 1 || this.#history !== undefined || this.#limit !== undefined;
  }

  /** The k of top-k where it leaves anything out, else 0. */
  get #topK(): number {
    return this.#settings.topK < this.#vocabLimit ? this.#settings.topK : 0;
  }

  /** Scores: logits after penalties, biases and limits. */
  #row(logits: Row, summary: RowSummary | undefined, limit: Limit | undefined): ScoredRow {
    const { repetitionPenalty: penalty } = this.#settings;
    const row = scoredRow(this.#vocabLimit);
    const change = (changes: Changes): void => {
      if (penalty !== 1) this.#penalize(changes, penalty);
      this.#history?.apply(changes);
      limit?.apply(changes);
    };
    const changes = penalty !== 1 || this.#history !== undefined || limit !== undefined;
    row.take(logits.subarray(0, this.#vocabLimit), summary, changes ? change : undefined);
    return row;
  }

  #penalize(changes: Changes, penalty: number): void {
    const { scores } = changes;
    for (const token of this.#seen) {
      const score = scores[token];
      if (score === undefined) continue;
      scores[token] = score < 0 ? score * penalty : score / penalty;
      changes.note(token);
    }
  }

  #likeliest(row: ScoredRow): number {
    if (this.#mark === undefined) return row.likeliest;
    const { scores, weights, ids, max } = row;
    for (let id = 0; id < scores.length; id++) {
      ids[id] = id;
      weights[id] = expOfNegative(scores[id]! - max);
    }
    const draw = () => indexOfLargest(weights);
    return this.#mark.choose({ ids, count: scores.length, weights, draw, uniform: () => 0 });
  }

  #draw(row: ScoredRow): number {
    const { topP, temperature, minP } = this.#settings;
    if (this.#chain?.bound !== undefined && !this.#mark) {
      row.weighUnsurprising(temperature, this.#chain.bound);
      const token = row.draw(1, this.#random.uniform());
      this.#chain.drawn(row.probabilityOf(token));
      return token;
    }
    if (!(this.#chain || this.#mark || this.#topK > 0)) {
      row.weigh(temperature, topP, minP);
      return row.draw(topP, this.#random.uniform());
    }
    const { count, least } = this.#keep(row, this.#random);
    const token = this.#mark ? this.#pickMarked(this.#mark, row, count, least) : this.#pickByWeight(row, count, least);
    this.#chain?.drawn(this.#probabilities[row.ids.indexOf(token)]!);
    return token;
  }

  /**
   * The tokens that the settings leave: the first `count` ids of the row, except those whose weights are below `least`.
   */
  #keep(row: ScoredRow, random: UniformSource): { count: number; least: number } {
    const { topP, temperature, minP } = this.#settings;
    const { ids, weights, scores } = row;
    if (this.#chain) return { count: this.#keepInSteps(this.#chain, row, random), least: Number.MIN_VALUE };
    const k = this.#topK;
    if (k === 0) {
      row.weigh(temperature, topP, minP);
      return { count: row.list(topP), least: Number.MIN_VALUE };
    }
    row.top(k);
    for (let i = 0; i < k; i++) weights[ids[i]!] = expOfNegative((scores[ids[i]!]! - row.max) / temperature);
    // A weight of 0 is never drawn, at either end of [0, 1).
    return { count: topP < 1 ? this.#reach(row, k) : k, least: Math.max(minP, Number.MIN_VALUE) };
  }

  #keepInSteps(chain: SamplerChain, { scores, ids, weights }: ScoredRow, random: UniformSource): number {
    const { ids: left, probabilities } = chain.candidates(scores, random);
    this.#probabilities = probabilities;
    for (let i = 0; i < left.length; i++) {
      const id = left[i]!;
      ids[i] = id;
      weights[id] = probabilities[i]! / probabilities[0]!;
    }
    return left.length;
  }

  /** The distribution that tokens are drawn from, in its own memory. */
  #distribution(row: ScoredRow, random: UniformSource): Distribution {
    const { count, least } = this.#keep(row, random);
    const { weights } = row;
    const ids = row.ids.slice(0, count).filter((id) => weights[id]! >= least);
    const probabilities = Float64Array.from(ids, (id) => weights[id]!);
    const total = probabilities.reduce((a, b) => a + b, 0);
    return { ids, probabilities: probabilities.map((weight) => weight / total) };
  }

  /** The smallest number of leading ids whose weights reach topP of the sum of the first `count`, which are likeliest first. */
  #reach({ weights, ids }: ScoredRow, count: number): number {
    let missing = 0;
    for (let i = 0; i < count; i++) missing += weights[ids[i]!]!;
    missing *= this.#settings.topP;
    let reach = 0;
    do missing -= weights[ids[reach++]!]!;
    while (missing > 0 && reach < count);
    return reach;
  }

  #pickMarked(mark: Mark, row: ScoredRow, count: number, least: number): number {
    const { weights, ids } = row;
    let n = 0;
    for (let i = 0; i < count; i++) if (weights[ids[i]!]! >= least) ids[n++] = ids[i]!;
    const draw = () => this.#pickByWeight(row, n, Number.MIN_VALUE);
    return mark.choose({ ids, count: n, weights, draw, uniform: () => this.#random.uniform() });
  }

  #pickByWeight({ weights, ids }: ScoredRow, count: number, least: number): number {
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

/** Draws a token from the positive part of p - q. */
function drawExcess(p: Distribution, q: Distribution, random: UniformSource): number {
  const under = new Map(Array.from(q.ids, (id, i) => [id, q.probabilities[i]!]));
  const excess = p.probabilities.map((probability, i) => Math.max(0, probability - (under.get(p.ids[i]!) ?? 0)));
  const total = excess.reduce((a, b) => a + b, 0);
  // Rounding may leave nothing where both are the same.
  return total > 0 ? drawn(p.ids, excess, total, random) : drawn(p.ids, p.probabilities, 1, random);
}

function indexOfLargest(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
