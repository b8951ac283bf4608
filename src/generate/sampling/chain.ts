import type { SamplingSettings } from "../../pretrained/sampling-options.js";
import { largest } from "../largest.js";
import { descending } from "./descending.js";
import type { MoreSampling, SamplerStep } from "./options.js";

/** The remaining tokens, likeliest first, and their logits as changed so far. */
interface Left {
  ids: Int32Array;
  logits: Float64Array;
}

/** A source of uniform random numbers in [0, 1). */
interface Uniform {
  uniform(): number;
}

/**
 * Sampling in steps, each of which filters or rescales what the previous one left: filters and temperature in the order of
 * the settings, or mirostat. Slower than the sampler's own path for temperature, top-k, top-p and min-p in their usual order.
 */
export class SamplerChain {
  readonly #settings: SamplingSettings;
  readonly #more: MoreSampling;
  /** Mirostat's bound on a token's surprise, in bits. */
  #mu: number;

  constructor(settings: SamplingSettings, more: MoreSampling) {
    this.#settings = settings;
    this.#more = more;
    this.#mu = 2 * more.mirostatTau;
  }

  /**
   * The remaining tokens, likeliest first, and their probabilities.
   *
   * @param scores [V], without NaN, at least one finite
   */
  candidates(scores: Float32Array | Float64Array, random: Uniform): { ids: Int32Array; probabilities: Float64Array } {
    const left = this.#sorted(scores);
    const steps = this.#more.mirostatTau > 0 ? (["temperature"] as const) : this.#more.samplerOrder;
    for (const step of steps) this.#take(step, left, random);
    if (this.#more.mirostatTau > 0) this.#limitSurprise(left);
    return { ids: left.ids, probabilities: softmax(left.logits) };
  }

  /**
   * Mirostat's bound on a token's surprise, in bits, if the only other step is the temperature: the sampler finds those
   * tokens faster.
   */
  get bound(): number | undefined {
    return this.#more.mirostatTau > 0 && this.#more.temperatureRange === 0 ? this.#mu : undefined;
  }

  /** Updates mirostat's bound by the candidate that was drawn. */
  drawn(probability: number): void {
    if (this.#more.mirostatTau > 0) {
      this.#mu -= this.#more.mirostatEta * (-Math.log2(probability) - this.#more.mirostatTau);
    }
  }

  /** All tokens, likeliest first, the lower id first among equals. If top-k comes first, only those that it keeps. */
  #sorted(scores: Float32Array | Float64Array): Left {
    const { topK } = this.#settings;
    const few = this.#topKIsFirst && topK < scores.length;
    let ids = few ? new Int32Array(topK) : descending(scores);
    if (few) largest(scores, topK, ids);
    // Impossible tokens come last.
    let count = ids.length;
    while (scores[ids[count - 1]!] === -Infinity) count--;
    ids = ids.subarray(0, count);
    const logits = new Float64Array(count);
    for (let i = 0; i < count; i++) logits[i] = scores[ids[i]!]!;
    return { ids, logits };
  }

  /** Whether top-k comes before every step that looks at the whole vocabulary. */
  get #topKIsFirst(): boolean {
    const { samplerOrder, topNSigma, typicalP, temperatureRange, xtcProbability, mirostatTau } = this.#more;
    const { topK, topP, minP } = this.#settings;
    if (topK === 0 || mirostatTau > 0) return false;
    const on: Partial<Record<SamplerStep, boolean>> = {
      temperature: temperatureRange > 0,
      topNSigma: topNSigma > 0,
      typicalP: typicalP < 1,
      topP: topP < 1,
      minP: minP > 0,
      xtc: xtcProbability > 0,
    };
    return !samplerOrder.slice(0, samplerOrder.indexOf("topK")).some((step) => on[step]);
  }

  #take(step: SamplerStep, left: Left, random: Uniform): void {
    const { topK, topP, minP } = this.#settings;
    const { topNSigma, typicalP, xtcProbability } = this.#more;
    if (step === "temperature") this.#heat(left);
    else if (step === "topK" && topK > 0) keep(left, topK);
    else if (step === "topP" && topP < 1) keep(left, reach(softmax(left.logits), topP));
    else if (step === "minP" && minP > 0) keep(left, countFrom(left.logits, left.logits[0]! + Math.log(minP)));
    else if (step === "topNSigma" && topNSigma > 0) {
      keep(left, countFrom(left.logits, left.logits[0]! - topNSigma * deviation(left.logits)));
    } else if (step === "typicalP" && typicalP < 1) keepTypical(left, typicalP);
    else if (step === "xtc" && xtcProbability > 0) this.#excludeTop(left, random);
  }

  /** Divides logits by the temperature. With a range, the normalized entropy chooses a temperature within it. */
  #heat(left: Left): void {
    const { temperature } = this.#settings;
    const { temperatureRange: range, temperatureExponent } = this.#more;
    let t = temperature;
    if (range > 0 && left.ids.length > 1) {
      const normalized = entropy(softmax(left.logits)) / Math.log(left.ids.length);
      const least = Math.max(0, temperature - range);
      t = least + (temperature + range - least) * normalized ** temperatureExponent;
    }
    if (t === 0) keep(left, 1);
    else left.logits = left.logits.map((x) => x / t);
  }

  /** XTC (p-e-w 2024): with some probability, removes all tokens above the threshold but the least likely of them. */
  #excludeTop(left: Left, random: Uniform): void {
    const { xtcProbability, xtcThreshold } = this.#more;
    const above = softmax(left.logits).filter((p) => p >= xtcThreshold).length;
    if (above < 2 || random.uniform() >= xtcProbability) return;
    left.ids = left.ids.subarray(above - 1);
    left.logits = left.logits.subarray(above - 1);
  }

  #limitSurprise(left: Left): void {
    const surprising = softmax(left.logits).findIndex((p) => -Math.log2(p) > this.#mu);
    if (surprising >= 0) keep(left, Math.max(1, surprising));
  }
}

function keep(left: Left, count: number): void {
  left.ids = left.ids.subarray(0, count);
  left.logits = left.logits.subarray(0, count);
}

/** Softmax of logits in descending order. */
function softmax(logits: Float64Array): Float64Array {
  const weights = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += weights[i] = Math.exp(logits[i]! - logits[0]!);
  for (let i = 0; i < weights.length; i++) weights[i]! /= sum;
  return weights;
}

/** The entropy, in nats. */
function entropy(probabilities: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!;
    if (p > 0) sum -= p * Math.log(p);
  }
  return sum;
}

/** The number of leading probabilities that together reach `share`. */
function reach(probabilities: Float64Array, share: number): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    sum += probabilities[i]!;
    if (sum >= share) return i + 1;
  }
  return probabilities.length;
}

/** The number of values, in descending order, that are at least `least`; never below 1. */
function countFrom(values: Float64Array, least: number): number {
  const end = values.findIndex((x) => x < least);
  return end < 0 ? values.length : Math.max(1, end);
}

function deviation(values: Float64Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
}

/** Keeps the tokens whose surprise is closest to the entropy, until they reach a share of the probability. */
function keepTypical(left: Left, share: number): void {
  const probabilities = softmax(left.logits);
  const h = entropy(probabilities);
  const nearness = new Float32Array(probabilities.length);
  for (let i = 0; i < nearness.length; i++) nearness[i] = -Math.abs(-Math.log(probabilities[i]!) - h);
  const order = descending(nearness);
  const count = reach(
    Float64Array.from(order, (i) => probabilities[i]!),
    share,
  );
  // In their order by likelihood.
  const isKept = new Uint8Array(order.length);
  for (let i = 0; i < count; i++) isKept[order[i]!] = 1;
  left.ids = left.ids.filter((_, i) => isKept[i] === 1);
  left.logits = left.logits.filter((_, i) => isKept[i] === 1);
}
