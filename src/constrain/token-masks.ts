import type { Machine, State } from "./machine.js";
import type { TokenTrie } from "./token-trie.js";

/** Maximum number of cached masks: 6.3 kB each for GPT-2's vocabulary. */
const MOST_MASKS = 4000;

/**
 * Token masks: the tokens that may follow in a state. Naively the bytes of each token are fed to the machine, and the token is
 * allowed if all of them fit. Here tokens form a trie, whose branches are cut off at the first byte that does not fit. The tokens
 * that fit within a single terminal are known from earlier walks, which constraints share, so only tokens in which one
 * terminal ends and another begins are walked. Masks are cached by state.
 */
export class TokenMasks {
  readonly #machine: Machine;
  readonly #trie: TokenTrie;
  #masks = new Map<State, Uint32Array>();

  constructor(machine: Machine, trie: TokenTrie) {
    this.#machine = machine;
    this.#trie = trie;
  }

  /** The mask of a state, one bit per token; must not be changed. @throws {ConstraintLimitError} */
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

  /** Allows the tokens below a node that fit from a state. */
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
