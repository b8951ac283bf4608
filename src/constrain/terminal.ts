import { ByteSet, byteClasses } from "./byte-set.js";
import { byteSetsOf, type Expression, type Expressions } from "./regex/expressions.js";
import { type TokenTrie, Walk } from "./token-trie.js";

/** Not a state: the byte does not fit. */
export const DEAD = -1;
const UNKNOWN = -2;

/** A part of a grammar read by an automaton over bytes. */
export interface Terminal {
  readonly start: number;
  /** The state after a byte, or {@link DEAD}. From every other state an end can be reached. */
  step(state: number, byte: number): number;
  /** Whether it may end here. */
  accepts(state: number): boolean;
  /** The bytes that may follow. */
  first(state: number): ByteSet;
  /** The tokens that fit from a state. */
  walk(trie: TokenTrie, state: number): Walk;
}

/** The automaton of an expression, whose states are its derivatives, made when first needed. */
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

  /** @param expression must match something */
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

  /**
   * Walks the token trie. If most first bytes lead to the same state as from another state, as inside any string, that state's walk is
   * reused, and only the branches of the other bytes are walked.
   */
  #walk(trie: TokenTrie, state: number, whole = false): Walk {
    const mask = new Uint32Array(trie.maskWords);
    const exits: number[] = [];
    const like = whole ? undefined : this.#similarTo(trie, state);
    if (like === undefined) this.#walkRange(trie, state, { from: 1, to: trie.size, mask, exits });
    else {
      const known = trie.walk(this.#states[like.state]!, () => this.#walk(trie, like.state, true));
      known.addTo(mask);
      exits.push(...known.exits.filter((node) => !like.others.some((root) => root <= node && node < trie.ends[root]!)));
      for (const root of like.others) {
        trie.forbidBelow(mask, root);
        this.#walkRange(trie, state, { from: root, to: trie.ends[root]!, mask, exits });
      }
    }
    return new Walk(mask, exits);
  }

  /** A state with a reusable walk, and the nodes of the bytes for which it differs. */
  #similarTo(trie: TokenTrie, state: number): { state: number; others: number[] } | undefined {
    const sizes = new Map<number, number>();
    for (const root of trie.roots) {
      const next = this.step(state, trie.bytes[root]!);
      if (next !== DEAD) sizes.set(next, (sizes.get(next) ?? 0) + trie.ends[root]! - root);
    }
    const [best] = [...sizes].sort((a, b) => b[1] - a[1]);
    if (!best || best[0] === state || best[1] < trie.size / 2) return undefined;
    const others = trie.roots.filter((root) => {
      const byte = trie.bytes[root]!;
      return this.step(state, byte) !== this.step(best[0], byte);
    });
    const size = others.reduce((sum, root) => sum + trie.ends[root]! - root, 0);
    return size < trie.size / 2 ? { state: best[0], others } : undefined;
  }

  #walkRange(trie: TokenTrie, state: number, { from, to, mask, exits }: Range): void {
    const { bytes, depths, ends, tokens } = trie;
    const path = new Int32Array(trie.longest + 1);
    const [classOf, count] = [this.#classOf, this.#examples.length];
    path[0] = state;
    for (let node = from; node < to; ) {
      const depth = depths[node]!;
      const before = path[depth - 1]!;
      const at = before * count + classOf[bytes[node]!]!;
      let next = this.#table[at]!;
      if (next === UNKNOWN) next = this.#make(before, at);
      if (next === DEAD) {
        node = ends[node]!;
        continue;
      }
      path[depth] = next;
      if (tokens[node]! >= 0) trie.allow(mask, node);
      if (this.#states[next]!.nullable && ends[node]! > node + 1) exits.push(node);
      node++;
    }
  }
}

/** A range of nodes to walk, and the results. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly mask: Uint32Array;
  readonly exits: number[];
}
