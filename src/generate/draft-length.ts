/** How many tokens the next draft has: fewer after rejected ones, more after accepted ones. */
export class DraftLength {
  readonly #longest: number;
  #next: number;

  /** @param longest most tokens of a draft */
  constructor(longest: number) {
    this.#longest = this.#next = longest;
  }

  get next(): number {
    return this.#next;
  }

  /** Adapts to how many tokens of a draft were accepted: the next is twice as long, and a token longer. */
  learn(accepted: number): void {
    this.#next = Math.min(this.#longest, 2 * accepted + 1);
  }
}
