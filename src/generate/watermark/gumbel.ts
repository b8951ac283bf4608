import { type ContextOptions, Contexts } from "./contexts.js";
import { derivedKey } from "./key.js";
import type { Candidates, Mark, Watermark } from "./mark.js";
import { ContextWords } from "./philox.js";

/** The smallest -log u, for the largest value of {@link ContextWords.uniform}. */
const LEAST = -Math.log(1 - 2 ** -24);

/**
 * Aaronson's watermark (2023, "Watermarking of Large Language Models"): choose the candidate with the largest
 * log p - log(-log u), where u is pseudorandom in key, context and token. Without the key this is a draw by p (Gumbel 1954);
 * with it, the u of the chosen tokens are seen to be larger than by chance. Like vLLM's `gumbel`.
 */
export class GumbelWatermark implements Watermark {
  readonly #words: ContextWords;
  readonly #contexts: ContextOptions;

  constructor(key: bigint, contexts: ContextOptions) {
    this.#words = new ContextWords(key);
    this.#contexts = contexts;
  }

  mark(prompt: readonly number[], sample: number): Mark {
    const contexts = textContexts(prompt, sample, this.#contexts);
    return {
      choose: (candidates) =>
        contexts.repeated ? candidates.draw() : race(candidates, this.#words.seek(contexts.current)),
      push: (token) => contexts.push(token),
    };
  }
}

/**
 * Two Gumbel watermarks, under keys derived from one: the second chooses each token with probability alpha. The first
 * serves a draft model, the second the model that verifies the drafts. Like vLLM's `dual_key_gumbel`.
 */
export class DualKeyGumbelWatermark implements Watermark {
  readonly #words: readonly [ContextWords, ContextWords];
  readonly #alpha: number;
  readonly #contexts: ContextOptions;

  /** @param keys of {@link dualKeys} */
  constructor(keys: readonly [bigint, bigint], alpha: number, contexts: ContextOptions) {
    this.#words = [new ContextWords(keys[0]), new ContextWords(keys[1])];
    this.#alpha = alpha;
    this.#contexts = contexts;
  }

  mark(prompt: readonly number[], sample: number): Mark {
    const contexts = textContexts(prompt, sample, this.#contexts);
    return {
      choose: (candidates) => {
        if (contexts.repeated) return candidates.draw();
        const words = this.#words[candidates.uniform() < this.#alpha ? 1 : 0];
        return race(candidates, words.seek(contexts.current));
      },
      push: (token) => contexts.push(token),
    };
  }
}

export const dualKeys = async (key: bigint): Promise<readonly [bigint, bigint]> => [
  await derivedKey(key, "key_a"),
  await derivedKey(key, "key_b"),
];

/**
 * The key alone would decide a whole text, and make all samples of a prompt the same. So samples after the first draw
 * their first tokens, whose context is incomplete, without the mark.
 */
function textContexts(prompt: readonly number[], sample: number, options: ContextOptions): Contexts {
  return new Contexts(prompt, options, sample > 0);
}

/** The candidate with the largest p / -log u, the exponential of the sum above. */
function race({ ids, count, weights }: Candidates, words: ContextWords): number {
  let best = -1;
  let winner = ids[0]!;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const weight = weights[id]!;
    // Most candidates cannot win, whatever their u.
    if (weight <= best * LEAST) continue;
    const pace = weight / -Math.log(words.uniform(id));
    if (pace <= best) continue;
    best = pace;
    winner = id;
  }
  return winner;
}
