/** The length of the next draft: shorter after rejected tokens, longer after accepted ones. */
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

  /** Adapts to the number of accepted tokens of a draft: the next is twice as long, and a token longer. */
  learn(accepted: number): void {
    this.#next = Math.min(this.#longest, 2 * accepted + 1);
  }
}
