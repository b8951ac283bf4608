import { type ContextOptions, Contexts } from "./contexts.js";
import type { Mark, Watermark } from "./mark.js";
import { ContextWords } from "./philox.js";

/**
 * The watermark of Kirchenbauer et al. (2023, "A Watermark for Large Language Models"): key and context make a share gamma
 * of the vocabulary green, and delta is added to the green tokens' logits. It changes the distribution; a text reveals it by
 * its share of green tokens. Like vLLM's red-green list.
 */
export class RedGreenWatermark implements Watermark {
  readonly #words: ContextWords;
  readonly #gamma: number;
  readonly #factor: number;
  readonly #contexts: ContextOptions;

  constructor(
    key: bigint,
    { gamma, delta }: { readonly gamma: number; readonly delta: number },
    contexts: ContextOptions,
  ) {
    this.#words = new ContextWords(key);
    this.#gamma = gamma;
    this.#factor = Math.exp(delta);
    this.#contexts = contexts;
  }

  mark(prompt: readonly number[]): Mark {
    const contexts = new Contexts(prompt, this.#contexts);
    return {
      choose: (candidates) => {
        if (contexts.repeated) return candidates.draw();
        const { ids, count, weights } = candidates;
        const words = this.#words.seek(contexts.current);
        for (let i = 0; i < count; i++) if (isGreen(words, ids[i]!, this.#gamma)) weights[ids[i]!]! *= this.#factor;
        return candidates.draw();
      },
      push: (token) => contexts.push(token),
    };
  }
}

export const isGreen = (words: ContextWords, token: number, gamma: number): boolean =>
  words.uniform(token) < Math.fround(gamma);
