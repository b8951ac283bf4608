import type { MoreSampling } from "./options.js";

/** The text so far, and the penalties, biases and limits that change single logits because of it. */
export class History {
  readonly #settings: MoreSampling;
  readonly #eosTokenIds: readonly number[];
  readonly #tokens: number[] = [];
  /** How often each token was generated. */
  readonly #counts = new Map<number, number>();
  #generated = 0;

  constructor(settings: MoreSampling, eosTokenIds: readonly number[]) {
    this.#settings = settings;
    this.#eosTokenIds = eosTokenIds;
  }

  /** Adds tokens of the prompt. */
  see(tokens: Iterable<number>): void {
    for (const token of tokens) this.#tokens.push(token);
  }

  /** Adds a generated token. */
  push(token: number): void {
    this.#tokens.push(token);
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
    this.#generated++;
  }

  /** Takes the last generated token back. */
  pop(): void {
    const token = this.#tokens.pop()!;
    const count = this.#counts.get(token)! - 1;
    if (count > 0) this.#counts.set(token, count);
    else this.#counts.delete(token);
    this.#generated--;
  }

  /** Changes logits in place. */
  apply(scores: Float32Array): void {
    const { presencePenalty, frequencyPenalty, logitBias, allowedIds, minNewTokens } = this.#settings;
    if (presencePenalty !== 0 || frequencyPenalty !== 0) {
      for (const [id, count] of this.#counts) {
        if (id < scores.length) scores[id]! -= presencePenalty + count * frequencyPenalty;
      }
    }
    this.#penaliseRepetition(scores);
    for (const [id, bias] of logitBias) if (id < scores.length) scores[id]! += bias;
    if (allowedIds) for (let id = 0; id < scores.length; id++) if (!allowedIds.has(id)) scores[id] = -Infinity;
    for (const words of this.#settings.badWords) this.#forbid(scores, words);
    if (this.#generated < minNewTokens) for (const id of this.#eosTokenIds) scores[id] = -Infinity;
  }

  #forbid(scores: Float32Array, words: readonly number[]): void {
    const before = words.slice(0, -1);
    const start = this.#tokens.length - before.length;
    if (start >= 0 && before.every((id, i) => this.#tokens[start + i] === id)) scores[words.at(-1)!] = -Infinity;
  }

  /**
   * DRY ("don't repeat yourself", p-e-w 2024). Naively: for each earlier position, count how many tokens before it equal
   * the text's last tokens, and penalise the token there. The counts are the Z function of the reversed text, which takes
   * linear time.
   */
  #penaliseRepetition(scores: Float32Array): void {
    const { dryMultiplier, dryBase, dryAllowedLength, dryBreakers } = this.#settings;
    if (dryMultiplier === 0) return;
    const reversed = this.#tokens.toReversed();
    const end = reversed.findIndex((id) => dryBreakers.has(id));
    const most = end < 0 ? reversed.length : end;
    const longest = new Map<number, number>();
    for (const [i, length] of zFunction(reversed).entries()) {
      const n = Math.min(length, most);
      if (i === 0 || n < dryAllowedLength) continue;
      const follower = reversed[i - 1]!;
      longest.set(follower, Math.max(n, longest.get(follower) ?? 0));
    }
    for (const [id, n] of longest) {
      if (id < scores.length) scores[id]! -= dryMultiplier * dryBase ** (n - dryAllowedLength);
    }
  }
}

/** z[i]: the number of tokens from i on that equal those at the start. */
function zFunction(tokens: readonly number[]): Int32Array {
  const z = new Int32Array(tokens.length);
  for (let i = 1, left = 0, right = 0; i < tokens.length; i++) {
    if (i < right) z[i] = Math.min(right - i, z[i - left]!);
    while (i + z[i]! < tokens.length && tokens[z[i]!] === tokens[i + z[i]!]) z[i]!++;
    if (i + z[i]! > right) [left, right] = [i, i + z[i]!];
  }
  return z;
}
