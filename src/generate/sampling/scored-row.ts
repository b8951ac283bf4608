import { expOfNegative } from "../exp.js";
import { largest } from "../largest.js";
import { notFinite } from "../log-sum-exp.js";
import { Nucleus } from "../nucleus.js";
import { movedNucleus } from "./moved-nucleus.js";
import { BLOCK, blocksOf, nucleusOf, type RowSummary, sumOfBlock, topOfBlock, weightOf } from "./row-summary.js";

type Row = Float32Array | Float64Array;

/** The scores of a row, which penalties, biases and limits change, and a record of the changes. */
export interface Changes {
  /** The scores, [V], to change in place. */
  readonly scores: Row;
  /** Notes that an id's score was changed. */
  note(id: number): void;
  /** Notes that any may have been. */
  noteAll(): void;
}

/** For a larger k, finding the blocks of the top k tokens saves nothing. */
const MOST_BY_BLOCKS = 128;
/** Distance in log-probability by which the largest score may move, until weights relative to the old one lose precision. */
const MOST_MOVED = 20;

/**
 * The scores of a row of logits, after penalties, and their summary. Naively every step of a sampler goes over the whole
 * vocabulary. Here a kernel has summarized the logits ({@link RowSummary}); blocks that penalties changed are recomputed, and
 * sampling reads a few blocks. The memory, of one vocabulary's size, is shared by all samplers of a thread, because
 * none keeps anything in it between tokens.
 */
export class ScoredRow implements Changes {
  scores: Row;
  /** The largest score. */
  max = 0;
  /** Ids that remain in the row, in no order, and their weights relative to the largest. */
  readonly ids: Int32Array;
  readonly weights: Float64Array;
  readonly #own: Float32Array;
  readonly #ownTops: Float64Array;
  readonly #ownSums: Float64Array;
  readonly #changed: Uint8Array;
  readonly #changedIds = new Set<number>();
  #anyChanged = false;
  readonly #blockIds: Int32Array;
  readonly #few = new Float64Array(MOST_BY_BLOCKS * BLOCK);
  readonly #fewIds = new Int32Array(MOST_BY_BLOCKS * BLOCK);
  #tops: Row;
  #sums: Row;
  #logits: Row;
  #summary: RowSummary | undefined;
  #isChanged = false;
  #oldMax = 0;
  // Results of weigh().
  #scale = 0;
  #base = 0;
  #bar = 0;
  #total = 0;
  #nucleus: Nucleus | undefined;

  constructor(readonly size: number) {
    const blocks = blocksOf(size);
    this.#own = new Float32Array(size);
    this.scores = this.#own;
    this.#logits = this.#own;
    this.ids = new Int32Array(size);
    this.weights = new Float64Array(size);
    this.#ownTops = new Float64Array(blocks);
    this.#ownSums = new Float64Array(blocks);
    this.#changed = new Uint8Array(blocks);
    this.#blockIds = new Int32Array(blocks);
    this.#tops = this.#ownTops;
    this.#sums = this.#ownSums;
  }

  note(id: number): void {
    this.#changed[(id / BLOCK) | 0] = 1;
    this.#changedIds.add(id);
  }

  noteAll(): void {
    this.#changed.fill(1);
    this.#anyChanged = true;
  }

  /**
   * Takes a row of logits, which stays as it is.
   *
   * @param change changes the scores, and says which
   * @throws {GPT2Error} the scores define no distribution.
   */
  take(logits: Row, summary: RowSummary | undefined, change: ((changes: Changes) => void) | undefined): void {
    this.#summary = summary;
    this.#isChanged = change !== undefined;
    this.#changed.fill(summary ? 0 : 1);
    this.#changedIds.clear();
    this.#anyChanged = false;
    this.#logits = logits;
    this.scores = logits;
    this.#tops = summary?.tops ?? this.#ownTops;
    if (!summary) this.#sumUp();
    this.max = this.#largestTop();
    this.#oldMax = this.max;
    if (!change) return;
    this.#own.set(logits);
    this.scores = this.#own;
    if (summary) this.#ownTops.set(summary.tops);
    this.#tops = this.#ownTops;
    this.#changed.fill(0);
    change(this);
    this.#sumUp();
    this.max = this.#largestTop();
  }

  #sumUp(): void {
    for (let b = 0; b < this.#changed.length; b++) {
      if (this.#changed[b] === 1) this.#ownTops[b] = topOfBlock(this.scores, b);
    }
  }

  #largestTop(): number {
    let max = -Infinity;
    for (let b = 0; b < this.#tops.length; b++) {
      if (this.#tops[b]! > max) max = this.#tops[b]!;
    }
    if (Number.isFinite(max)) return max;
    throw notFinite("sampling the next token", this.scores.some(Number.isNaN) ? Number.NaN : max);
  }

  /** The id of the largest score, the lowest among equals. */
  get likeliest(): number {
    const block = this.#tops.indexOf(this.max);
    return this.scores.indexOf(this.max, block * BLOCK);
  }

  /** Writes the ids of the k largest scores into `ids`, largest first, the lower id first among equals. */
  top(k: number, ids: Int32Array = this.ids): void {
    const tops = this.#tops;
    if (k > MOST_BY_BLOCKS || k >= tops.length) {
      largest(this.scores, k, ids);
      return;
    }
    // Each of these blocks has a score of at least `bar`, and only they have more.
    const blocks = this.#blockIds.subarray(0, k);
    largest(tops, k, blocks);
    const bar = tops[blocks[k - 1]!]!;
    blocks.sort();
    let count = 0;
    for (let i = 0; i < k; i++) {
      const end = Math.min(this.size, (blocks[i]! + 1) * BLOCK);
      for (let id = blocks[i]! * BLOCK; id < end; id++) {
        if (this.scores[id]! < bar) continue;
        this.#few[count] = this.scores[id]!;
        this.#fewIds[count++] = id;
      }
    }
    largest(this.#few.subarray(0, count), k, ids);
    for (let i = 0; i < k; i++) ids[i] = this.#fewIds[ids[i]!]!;
  }

  /**
   * Weighs the tokens at a temperature, and keeps those with at most `surprise` bits, or else the likeliest. The bar
   * follows from the sum of all weights.
   */
  weighUnsurprising(temperature: number, surprise: number): void {
    this.weigh(temperature, 1, 0);
    let total = 0;
    for (let b = 0; b < this.#sums.length; b++) total += this.#sums[b]!;
    const bar = this.#base + (Math.log(total) - surprise * Math.LN2) / this.#scale;
    this.#bar = Math.min(this.max, bar);
    for (let b = 0; b < this.#ownSums.length; b++) {
      const any = this.#tops[b]! >= this.#bar;
      this.#ownSums[b] = any ? sumOfBlock(this.scores, b, this.#base, this.#scale, this.#bar) : 0;
    }
    this.#sums = this.#ownSums;
  }

  /** The probability of a token among those kept. */
  probabilityOf(id: number): number {
    let total = 0;
    for (let b = 0; b < this.#sums.length; b++) total += this.#sums[b]!;
    return weightOf(this.scores[id]!, this.#base, this.#scale) / total;
  }

  /** Weighs the tokens at a temperature, and keeps those of top-p and min-p. */
  weigh(temperature: number, topP: number, minP: number): void {
    const scale = scaleOf(temperature);
    this.#scale = scale;
    this.#base = this.max;
    this.#bar = minP > 0 ? this.max + Math.log(minP) / scale : -Infinity;
    if (this.#summary && !this.#isChanged) {
      this.#sums = this.#summary.sums;
      this.#bar = this.#summary.bar;
      this.#total = this.#summary.total;
      return;
    }
    const moved = scale * Math.abs(this.max - this.#oldMax);
    if (this.#summary && topP === 1 && minP === 0 && moved < MOST_MOVED) {
      this.#base = this.#oldMax;
      for (let b = 0; b < this.#ownSums.length; b++) {
        this.#ownSums[b] =
          this.#changed[b] === 1 ? sumOfBlock(this.scores, b, this.#base, scale, this.#bar) : this.#summary.sums[b]!;
      }
    } else if (!(moved < MOST_MOVED && minP === 0 && this.#moveNucleus(topP))) this.#weighAll(topP);
    this.#sums = this.#ownSums;
  }

  /** Finds the nucleus from that of the logits, if few scores were changed. */
  #moveNucleus(topP: number): boolean {
    if (!this.#summary || this.#anyChanged || topP === 1) return false;
    const [scale, base] = [this.#scale, this.#oldMax];
    const row = {
      logits: this.#logits,
      scores: this.scores,
      changed: this.#changedIds,
      tops: this.#tops,
      max: this.max,
    };
    const moved = movedNucleus({ ...row, summary: this.#summary, base, scale }, topP, this.#ownSums);
    if (!moved) return false;
    this.#base = base;
    this.#bar = moved.bar;
    this.#total = moved.total;
    return true;
  }

  #weighAll(topP: number): void {
    if (topP < 1) {
      this.#nucleus ??= new Nucleus(this.size);
      const memory = { weights: this.weights, nucleus: this.#nucleus };
      const { bar, total } = nucleusOf(this.scores, this.max, this.#scale, topP, memory);
      this.#bar = Math.max(this.#bar, bar);
      this.#total = total;
    }
    for (let b = 0; b < this.#ownSums.length; b++) {
      const any = this.#tops[b]! >= this.#bar;
      this.#ownSums[b] = any ? sumOfBlock(this.scores, b, this.max, this.#scale, this.#bar) : 0;
    }
  }

  /** Number of tokens with the least kept score that are too many for top-p: among equals, the lower ids are kept. */
  #surplus(topP: number): number {
    if (topP === 1) return 0;
    let sum = 0;
    for (let b = 0; b < this.#sums.length; b++) sum += this.#sums[b]!;
    const least = weightOf(this.#bar, this.#base, this.#scale);
    const most = Math.floor(((sum - topP * this.#total) / least) * (1 + 1e-6));
    if (!(most > 0)) return 0;
    let equals = 0;
    for (let b = 0; b < this.#sums.length; b++) {
      if (!(this.#tops[b]! >= this.#bar)) continue;
      const end = Math.min(this.size, (b + 1) * BLOCK);
      for (let id = b * BLOCK; id < end; id++) if (this.scores[id] === this.#bar) equals++;
    }
    return Math.min(most, Math.max(0, equals - 1));
  }

  /** Draws one of the tokens that {@link weigh} left, by a number in [0, 1). */
  draw(topP: number, uniform: number): number {
    if (this.#surplus(topP) > 0) return this.#drawListed(this.list(topP), uniform);
    let total = 0;
    for (let b = 0; b < this.#sums.length; b++) total += this.#sums[b]!;
    let left = uniform * total;
    let block = 0;
    for (let b = 0; b < this.#sums.length; b++) {
      const sum = this.#sums[b]!;
      if (!(sum > 0)) continue;
      block = b;
      if (left < sum) break;
      left -= sum;
    }
    return this.#drawInBlock(block, left);
  }

  #drawInBlock(b: number, left: number): number {
    const end = Math.min(this.size, (b + 1) * BLOCK);
    let picked = 0;
    for (let id = b * BLOCK; id < end; id++) {
      const score = this.scores[id]!;
      if (score < this.#bar) continue;
      const weight = weightOf(score, this.#base, this.#scale);
      if (weight === 0) continue;
      picked = id;
      left -= weight;
      if (left < 0) break;
    }
    return picked;
  }

  #drawListed(count: number, uniform: number): number {
    let total = 0;
    for (let i = 0; i < count; i++) total += this.weights[this.ids[i]!]!;
    let left = uniform * total;
    for (let i = 0; i < count; i++) {
      left -= this.weights[this.ids[i]!]!;
      if (left < 0) return this.ids[i]!;
    }
    return this.ids[count - 1]!;
  }

  /** Lists the tokens that {@link weigh} left, in `ids` and `weights`. Returns their number. */
  list(topP: number): number {
    let surplus = this.#surplus(topP);
    let count = 0;
    for (let b = 0; b < this.#sums.length; b++) {
      if (!(this.#sums[b]! > 0)) continue;
      const end = Math.min(this.size, (b + 1) * BLOCK);
      for (let id = b * BLOCK; id < end; id++) {
        const score = this.scores[id]!;
        if (score < this.#bar) continue;
        const weight = expOfNegative(this.#scale * (score - this.max));
        if (weight === 0) continue;
        this.weights[id] = weight;
        this.ids[count++] = id;
      }
    }
    if (surplus === 0) return count;
    // The highest ids of the equals go.
    const bar = this.#bar;
    let kept = count;
    for (let i = count - 1; i >= 0 && surplus > 0; i--) {
      if (this.scores[this.ids[i]!] !== bar) continue;
      this.ids.copyWithin(i, i + 1, kept);
      kept--;
      surplus--;
    }
    return kept;
  }
}

/** 1 / temperature, within what single precision holds. */
export const scaleOf = (temperature: number): number => Math.min(1e30, Math.max(1e-30, 1 / temperature));

let shared = new ScoredRow(0);

/** The row of a vocabulary. */
export function scoredRow(size: number): ScoredRow {
  if (shared.size !== size) shared = new ScoredRow(size);
  return shared;
}
