import { ConstraintError } from "../errors.js";
import { bounded } from "./bounded.js";
import type { Grammar } from "./grammar.js";
import { Machine, type State } from "./machine.js";
import { TokenMasks } from "./token-masks.js";
import { idsOf, type TokenTrie } from "./token-trie.js";

/** The tokenizer's function from a text in UTF-8 to ids. */
export type EncodeBytes = (utf8: Uint8Array) => ArrayLike<number>;

/** Maximum number of forced bytes to look ahead. */
const MOST_FORCED = 400;

/** A grammar over the tokens of a vocabulary. */
export class TokenConstraint {
  readonly #machine: Machine;
  readonly #masks: TokenMasks;
  readonly #trie: TokenTrie;
  readonly #tokens: (id: number) => Uint8Array;
  readonly #encode: EncodeBytes | undefined;

  /**
   * @param tokens the bytes of an id
   * @param encode without it no tokens are forced
   * @throws {ConstraintError} nothing matches the grammar, or it is left-recursive.
   */
  constructor(grammar: Grammar, trie: TokenTrie, tokens: (id: number) => Uint8Array, encode?: EncodeBytes) {
    this.#machine = bounded(() => new Machine(grammar));
    this.#masks = new TokenMasks(this.#machine, trie);
    this.#trie = trie;
    this.#tokens = tokens;
    this.#encode = encode;
  }

  /** Starts a text. */
  begin(): ConstrainedText {
    return new ConstrainedText(this, this.#machine.start);
  }

  /** @internal */
  mask(state: State): Uint32Array {
    return this.#masks.of(state);
  }

  /** @internal @throws {ConstraintError} the token does not fit. */
  accept(state: State, token: number): State {
    let next: State | null = state;
    for (const byte of this.#tokens(token)) {
      next = this.#machine.step(next, byte);
      if (next === null) throw this.#unfit(state, token);
    }
    return next;
  }

  #unfit(state: State, token: number): ConstraintError {
    const allowed = idsOf(this.mask(state), 5);
    const expected = allowed ? `one of the tokens ${[...allowed].join(", ")}` : "a token that fits";
    return new ConstraintError({ op: "constraint", expected, got: `token ${token}` });
  }

  /**
   * @internal The forced tokens, encoded as by the tokenizer, except those whose end may be part of a longer
   * token together with the following bytes.
   */
  forced(state: State): number[] {
    if (!this.#encode || state.accepts) return [];
    const bytes: number[] = [];
    let end = state;
    while (bytes.length < MOST_FORCED && !end.accepts) {
      const byte = onlyByte(end);
      if (byte < 0) break;
      bytes.push(byte);
      const next = this.#machine.step(end, byte);
      if (next === null) return [];
      end = next;
    }
    if (bytes.length === 0) return [];
    const ids = Array.from(this.#encode(Uint8Array.from(bytes)));
    let length = 0;
    let sure = 0;
    for (const [i, id] of ids.entries()) {
      // A token that may grow, and those after it, are left to the model.
      if (this.#mayGrow(bytes, length, end)) break;
      length += this.#tokens(id).length;
      sure = i + 1;
    }
    return ids.slice(0, sure);
  }

  /** Whether some token begins with the bytes from `from` on and continues with allowed bytes. */
  #mayGrow(bytes: readonly number[], from: number, end: State): boolean {
    const { ends, bytes: last } = this.#trie;
    let node = 0;
    for (let i = from; i < bytes.length; i++) {
      node = this.#trie.child(node, bytes[i]!);
      if (node < 0) return false;
    }
    for (let i = node + 1; i < ends[node]!; i = ends[i]!) if (end.first.has(last[i]!)) return true;
    return false;
  }
}

/** The only byte that may follow, or -1 if there are several. */
function onlyByte({ first }: State): number {
  let only = -1;
  for (const byte of first) {
    if (only >= 0) return -1;
    only = byte;
  }
  return only;
}

/** A growing text under a constraint. */
export class ConstrainedText {
  readonly #constraint: TokenConstraint;
  #state: State;

  constructor(constraint: TokenConstraint, state: State) {
    this.#constraint = constraint;
    this.#state = state;
  }

  /** The token mask: the tokens that may follow, one bit per id, 32 in a word. Must not be changed. */
  get mask(): Uint32Array {
    return this.#constraint.mask(this.#state);
  }

  /** Whether the text may end here. */
  get mayEnd(): boolean {
    return this.#state.accepts;
  }

  /** Whether nothing may follow. */
  get isComplete(): boolean {
    return this.#state.accepts && this.#state.threads.length === 0;
  }

  /** Adds a token. @throws {ConstraintError} it is not allowed; the text then stays as it was. */
  accept(token: number): void {
    this.#state = this.#constraint.accept(this.#state, token);
  }

  /** The forced tokens: those that must follow. */
  forced(): number[] {
    return this.#constraint.forced(this.#state);
  }

  /** A copy, which grows independently. */
  fork(): ConstrainedText {
    return new ConstrainedText(this.#constraint, this.#state);
  }
}
