import { ByteSet, byteClasses } from "./byte-set.js";
import { byteSetsOf, type Expression, type Expressions } from "./regex/expressions.js";
import { type TokenTrie, Walk } from "./token-trie.js";

/** No state: the byte does not fit. */
export const DEAD = -1;
const UNKNOWN = -2;

/** A part of a grammar that an automaton over bytes reads. */
export interface Terminal {
  readonly start: number;
  /** The state after a byte, or {@link DEAD}. From every other state an end can be reached. */
  step(state: number, byte: number): number;
  /** Whether it may end here. */
  accepts(state: number): boolean;
  /** The bytes that may follow. */
  first(state: number): ByteSet;
  /** What it does with each token. */
  walk(trie: TokenTrie, state: number): Walk;
}

/** The automaton of an expression: its derivatives, made when they are first needed. */
export class ExpressionTerminal implements Terminal {
  readonly start = 0;
  readonly #pool: Expressions;
  readonly #classOf: Uint8Array;
  readonly #examples: readonly number[];
  readonly #states: Expression[];
  readonly #ids: Map<Expression, number>;
  /** [states × classes] */
  #table: Int32Array;
  readonly #first: (ByteSet | undefined)[] = [];

  /** @param expression one that matches something */
  constructor(pool: Expressions, expression: Expression) {
    this.#pool = pool;
    const { classOf, examples } = byteClasses(byteSetsOf(expression));
    this.#classOf = classOf;
    this.#examples = examples;
    this.#states = [expression];
    this.#ids = new Map([[expression, 0]]);
    this.#table = new Int32Array(8 * examples.length).fill(UNKNOWN);
  }

  step(state: number, byte: number): number {
    const at = state * this.#examples.length + this.#classOf[byte]!;
    const next = this.#table[at]!;
    return next === UNKNOWN ? this.#make(state, at) : next;
  }

  #make(state: number, at: number): number {
    const count = this.#examples.length;
    const expression = this.#pool.derivative(this.#states[state]!, this.#examples[at - state * count]!);
    let next = this.#ids.get(expression);
    if (next === undefined) {
      next = this.#pool.isPossible(expression, this.#examples) ? this.#states.push(expression) - 1 : DEAD;
      this.#ids.set(expression, next);
      if ((next + 1) * count > this.#table.length) this.#grow();
    }
    this.#table[at] = next;
    return next;
  }

  #grow(): void {
    const larger = new Int32Array(2 * this.#table.length).fill(UNKNOWN);
    larger.set(this.#table);
    this.#table = larger;
  }

  accepts(state: number): boolean {
    return this.#states[state]!.nullable;
  }

  first(state: number): ByteSet {
    const known = this.#first[state];
    if (known) return known;
    const alive = this.#examples.map((byte) => this.step(state, byte) !== DEAD);
    return (this.#first[state] = ByteSet.where((byte) => alive[this.#classOf[byte]!]!));
  }

  walk(trie: TokenTrie, state: number): Walk {
    return trie.walk(this.#states[state]!, () => this.#walk(trie, state));
  }

  #walk(trie: TokenTrie, state: number): Walk {
    const { bytes, depths, ends, tokens } = trie;
    const mask = new Uint32Array(trie.maskWords);
    const exits: number[] = [];
    const path = new Int32Array(trie.longest + 1);
    const [classOf, count] = [this.#classOf, this.#examples.length];
    path[0] = state;
    for (let node = 1; node < trie.size; ) {
      const depth = depths[node]!;
      const from = path[depth - 1]!;
      const at = from * count + classOf[bytes[node]!]!;
      let next = this.#table[at]!;
      if (next === UNKNOWN) next = this.#make(from, at);
      if (next === DEAD) {
        node = ends[node]!;
        continue;
      }
      path[depth] = next;
      if (tokens[node]! >= 0) trie.allow(mask, node);
      if (this.#states[next]!.nullable && ends[node]! > node + 1) exits.push(node);
      node++;
    }
    return new Walk(mask, exits);
  }
}
