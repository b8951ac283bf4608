import type { Machine, State } from "./machine.js";
import type { TokenTrie } from "./token-trie.js";

/** Masks kept: of GPT-2's vocabulary 6.3 kB each. */
const MOST_MASKS = 4000;

/**
 * Which tokens may follow. Naively: feed the bytes of each token to the machine, and allow the token if it takes them all.
 * Here tokens are a tree, whose branches are cut at the first byte that does not fit; what a terminal does with them by
 * itself is known from earlier walks, also of other constraints; so what is left to walk are the tokens in which one
 * terminal ends and another begins. A state's mask is kept.
 */
export class TokenMasks {
  readonly #machine: Machine;
  readonly #trie: TokenTrie;
  #masks = new Map<State, Uint32Array>();

  constructor(machine: Machine, trie: TokenTrie) {
    this.#machine = machine;
    this.#trie = trie;
  }

  /** The mask of a state, a bit for each token; not to be changed. @throws {ConstraintLimitError} */
  of(state: State): Uint32Array {
    const known = this.#masks.get(state);
    if (known) return known;
    const mask = this.#machine.limited(() => this.#make(state));
    if (this.#masks.size >= MOST_MASKS) this.#masks = new Map();
    this.#masks.set(state, mask);
    return mask;
  }

  #make({ threads }: State): Uint32Array {
    const mask = new Uint32Array(this.#trie.maskWords);
    for (const { terminal, state: at, stacks } of threads) {
      const walk = terminal.walk(this.#trie, at);
      walk.addTo(mask);
      if (walk.exits.length === 0) continue;
      const after = this.#machine.after(stacks);
      if (after.threads.length > 0) for (const node of walk.exits) this.#walk(mask, node, after);
    }
    return mask;
  }

  /** Allows the tokens below a node that a state takes. */
  #walk(mask: Uint32Array, root: number, start: State): void {
    const { bytes, depths, ends, tokens } = this.#trie;
    const base = depths[root]!;
    const path = [start];
    for (let node = root + 1; node < ends[root]!; ) {
      const depth = depths[node]! - base;
      const from = path[depth - 1]!;
      const next = from.first.has(bytes[node]!) ? this.#machine.step(from, bytes[node]!) : null;
      if (next === null) {
        node = ends[node]!;
        continue;
      }
      path[depth] = next;
      if (tokens[node]! >= 0) this.#trie.allow(mask, node);
      node++;
    }
  }
}
