import { ConstraintError } from "../errors.js";
import { bounded } from "./bounded.js";
import type { Grammar } from "./grammar.js";
import { Machine, type State } from "./machine.js";
import { TokenMasks } from "./token-masks.js";
import { idsOf, type TokenTrie } from "./token-trie.js";

/** Ids of a text given as UTF-8: a tokenizer's. */
export type EncodeBytes = (utf8: Uint8Array) => ArrayLike<number>;

/** Bytes that are looked ahead for what must follow. */
const MOST_FORCED = 400;

/** A grammar over a vocabulary's tokens. */
export class TokenConstraint {
  readonly #machine: Machine;
  readonly #masks: TokenMasks;
  readonly #trie: TokenTrie;
  readonly #tokens: (id: number) => Uint8Array;
  readonly #encode: EncodeBytes | undefined;

  /**
   * @param tokens bytes of an id
   * @param encode without it nothing is forced
   * @throws {ConstraintError} nothing matches the grammar, or it is left-recursive.
   */
  constructor(grammar: Grammar, trie: TokenTrie, tokens: (id: number) => Uint8Array, encode?: EncodeBytes) {
    this.#machine = bounded(() => new Machine(grammar));
    this.#masks = new TokenMasks(this.#machine, trie);
    this.#trie = trie;
    this.#tokens = tokens;
    this.#encode = encode;
  }

  /** The beginning of a text. */
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
   * @internal The tokens that must follow, as the tokenizer would write them; without those whose end may be part of a longer
   * token with what comes after.
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
      // A token that may be longer, and those after it, are left to the model.
      if (this.#mayGrow(bytes, length, end)) break;
      length += this.#tokens(id).length;
      sure = i + 1;
    }
    return ids.slice(0, sure);
  }

  /** Whether some token begins with the bytes from `from` on, and goes on with what may follow. */
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

/** The byte that must follow, or -1 if there is a choice. */
function onlyByte({ first }: State): number {
  let only = -1;
  for (const byte of first) {
    if (only >= 0) return -1;
    only = byte;
  }
  return only;
}

/** One text under a constraint, as it grows. */
export class ConstrainedText {
  readonly #constraint: TokenConstraint;
  #state: State;

  constructor(constraint: TokenConstraint, state: State) {
    this.#constraint = constraint;
    this.#state = state;
  }

  /** Which tokens may follow, a bit for each id, 32 in a word; not to be changed. */
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

  /** Adds a token. @throws {ConstraintError} it does not fit, and the text stays as it was. */
  accept(token: number): void {
    this.#state = this.#constraint.accept(this.#state, token);
  }

  /** The tokens that must follow, if any are certain. */
  forced(): number[] {
    return this.#constraint.forced(this.#state);
  }

  /** A copy, which grows by itself. */
  fork(): ConstrainedText {
    return new ConstrainedText(this.#constraint, this.#state);
  }
}
