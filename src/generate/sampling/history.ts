import type { MoreSampling } from "./options.js";
import type { Changes } from "./scored-row.js";

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
  apply(changes: Changes): void {
    const { scores } = changes;
    const { presencePenalty, frequencyPenalty, logitBias, allowedIds, minNewTokens } = this.#settings;
    const add = (id: number, amount: number): void => {
      if (id >= scores.length) return;
      scores[id]! += amount;
      changes.note(id);
    };
    if (presencePenalty !== 0 || frequencyPenalty !== 0) {
      for (const [id, count] of this.#counts) add(id, -(presencePenalty + count * frequencyPenalty));
    }
    for (const [id, penalty] of this.#repetitions()) add(id, -penalty);
    for (const [id, bias] of logitBias) add(id, bias);
    if (allowedIds) {
      for (let id = 0; id < scores.length; id++) if (!allowedIds.has(id)) scores[id] = -Infinity;
      changes.noteAll();
    }
    for (const words of this.#settings.badWords) if (this.#completes(words)) add(words.at(-1)!, -Infinity);
    if (this.#generated < minNewTokens) for (const id of this.#eosTokenIds) add(id, -Infinity);
  }

  /** Whether the last of the words' tokens would complete them. */
  #completes(words: readonly number[]): boolean {
    const before = words.slice(0, -1);
    const start = this.#tokens.length - before.length;
    return start >= 0 && before.every((id, i) => this.#tokens[start + i] === id);
  }

  /**
   * DRY ("don't repeat yourself", p-e-w 2024). Naively: for each earlier position, count how many tokens before it equal
   * the text's last tokens, and penalize the token there. The counts are the Z function of the reversed text, which takes
   * linear time.
   */
  *#repetitions(): Generator<[id: number, penalty: number]> {
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
    for (const [id, n] of longest) yield [id, dryMultiplier * dryBase ** (n - dryAllowedLength)];
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
