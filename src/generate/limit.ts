import type { ConstrainedText, TokenConstraint } from "../constrain/constraint.js";
import { GPT2Error } from "../errors.js";
import type { Changes } from "./sampling/scored-row.js";

/** The limits of a sample: its text under a constraint, and the tokens that end it. */
export class Limit {
  readonly #text: ConstrainedText;
  readonly #ends: readonly number[];
  #forced: number[] = [];

  /** @param ends tokens that end the text, allowed wherever the constraint is satisfied */
  constructor(constraint: TokenConstraint, ends: readonly number[]) {
    this.#text = constraint.begin();
    this.#ends = ends;
    this.#forced = this.#text.forced();
  }

  /** Tokens that come next whatever the model says, as far as they are known. */
  get forced(): readonly number[] {
    return this.#forced;
  }

  /** Whether nothing can follow. */
  get isComplete(): boolean {
    return this.#text.isComplete;
  }

  /** Makes all other tokens impossible. @throws {GPT2Error} nothing is left. */
  apply(changes: Changes): void {
    const { scores } = changes;
    const { mask, mayEnd } = this.#text;
    const ends = mayEnd ? this.#ends.map((id) => [id, scores[id]!] as const) : [];
    changes.noteAll();
    let any = false;
    for (let word = 0; word * 32 < scores.length; word++) {
      const bits = mask[word]!;
      const start = word * 32;
      const end = Math.min(scores.length, start + 32);
      if (bits === 0) {
        scores.fill(-Infinity, start, end);
        continue;
      }
      for (let id = start; id < end; id++) {
        if (((bits >>> (id & 31)) & 1) === 0) scores[id] = -Infinity;
        else any ||= scores[id]! > -Infinity;
      }
    }
    for (const [id, score] of ends) {
      if (id >= scores.length) continue;
      scores[id] = score;
      any ||= score > -Infinity;
    }
    if (any) return;
    const hint = "Biases, forbidden words or a least number of tokens leave none of those that the constraint allows";
    throw new GPT2Error({ op: "constraint", expected: "a token that may follow", got: "none", hint });
  }

  /** Adds a token of the text: not one that ends it. */
  push(token: number): void {
    this.#text.accept(token);
    if (this.#forced.length > 0) this.#forced = this.#forced.slice(1);
    if (this.#forced.length === 0) this.#forced = this.#text.forced();
  }
}
