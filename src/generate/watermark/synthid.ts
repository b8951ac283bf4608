import { type ContextOptions, Contexts } from "./contexts.js";
import type { Candidates, Mark, Watermark } from "./mark.js";
import { ContextWords } from "./philox.js";

/**
 * SynthID-Text's watermark (Dathathri et al. 2024): a tournament of `depth` rounds. In each, a token whose bit g is 1 beats
 * one whose bit is 0. Bit l of a token's word is its g of round l. Averaged over keys, each token is as likely as without
 * the mark. Like vLLM's SynthID on its Philox generator.
 */
export class SynthIdWatermark implements Watermark {
  readonly #words: ContextWords;
  readonly #depth: number;
  readonly #contexts: ContextOptions;
  #bits = new Uint32Array(0);

  constructor(key: bigint, depth: number, contexts: ContextOptions) {
    this.#words = new ContextWords(key);
    this.#depth = depth;
    this.#contexts = contexts;
  }

  mark(prompt: readonly number[]): Mark {
    const contexts = new Contexts(prompt, this.#contexts);
    return {
      choose: (candidates) => {
        if (contexts.repeated) return candidates.draw();
        this.#reweigh(candidates, this.#words.seek(contexts.current));
        return candidates.draw();
      },
      push: (token) => contexts.push(token),
    };
  }

  #reweigh(candidates: Candidates, words: ContextWords): void {
    const { ids, count } = candidates;
    if (this.#bits.length < count) this.#bits = new Uint32Array(count);
    const bits = this.#bits;
    for (let i = 0; i < count; i++) bits[i] = words.word(ids[i]!);
    tournament(candidates, this.#depth, (round, g) => {
      for (let i = 0; i < g.length; i++) g[i] = (bits[i]! >>> round) & 1;
    });
  }
}

/**
 * Turns the weights into the probabilities of the tournament's winner. Of two tokens drawn by p, the one with g = 1 wins,
 * either one if both have the same: p' = p (1 + g - Σ g p).
 *
 * @param fill writes the candidates' bits g of a round, 0 or 1
 */
export function tournament(
  { ids, count, weights }: Candidates,
  rounds: number,
  fill: (round: number, g: Uint8Array) => void,
): void {
  const p = new Float64Array(count);
  const g = new Uint8Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) total += p[i] = weights[ids[i]!]!;
  for (let i = 0; i < count; i++) p[i]! /= total;
  for (let round = 0; round < rounds; round++) {
    fill(round, g);
    let mass = 0;
    for (let i = 0; i < count; i++) mass += g[i]! * p[i]!;
    for (let i = 0; i < count; i++) p[i]! *= 1 + g[i]! - mass;
  }
  for (let i = 0; i < count; i++) weights[ids[i]!] = p[i]!;
}
