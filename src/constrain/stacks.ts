import type { Part } from "./grammar.js";

/** The position at which a grammar continues after a part inside is finished: the next part of a sequence, or a repetition's next round. */
export interface Position {
  readonly id: number;
  readonly part: Extract<Part, { readonly kind: "sequence" | "repeat" }>;
  /** For a sequence: the index of the part with which to continue. */
  readonly index: number;
  /** For a repetition: the number of rounds that must, and may, still come. */
  readonly min: number;
  readonly max: number;
}

/**
 * A set of stacks of positions that share their tails: for each top the stacks below it. Equal sets are
 * the same object.
 */
export interface Stacks {
  readonly id: number;
  /** Whether the empty stack is included: the text may end there. */
  readonly holdsEmpty: boolean;
  /** Sorted by position. */
  readonly tops: readonly { readonly position: Position; readonly below: Stacks }[];
  readonly depth: number;
}

/** Makes stacks and positions, each only once. */
export class StackStore {
  readonly empty: Stacks;
  #stacks = new Map<string, Stacks>();
  #unions = new Map<string, Stacks>();
  readonly #positions = new Map<Part, Map<string, Position>>();
  #count = 0;
  #positionCount = 0;

  constructor() {
    this.empty = { id: this.#count++, holdsEmpty: true, tops: [], depth: 0 };
  }

  /** Number of stacks kept for reuse. */
  get size(): number {
    return this.#stacks.size + this.#unions.size;
  }

  /** Forgets stacks. Equal ones made later are other objects, which costs only time. */
  forget(): void {
    this.#stacks = new Map();
    this.#unions = new Map();
  }

  position(part: Position["part"], index: number, min = 0, max = 0): Position {
    let positions = this.#positions.get(part);
    if (!positions) this.#positions.set(part, (positions = new Map()));
    const key = `${index} ${min} ${max}`;
    let position = positions.get(key);
    if (!position) positions.set(key, (position = { id: this.#positionCount++, part, index, min, max }));
    return position;
  }

  push(position: Position, below: Stacks): Stacks {
    return this.#intern(false, [{ position, below }]);
  }

  union(a: Stacks, b: Stacks): Stacks {
    if (a === b) return a;
    const [first, second] = a.id < b.id ? [a, b] : [b, a];
    const key = `${first.id} ${second.id}`;
    const known = this.#unions.get(key);
    if (known) return known;
    const tops = new Map(first.tops.map((top) => [top.position, top.below]));
    for (const { position, below } of second.tops) {
      const other = tops.get(position);
      tops.set(position, other ? this.union(other, below) : below);
    }
    const sorted = [...tops].map(([position, below]) => ({ position, below }));
    sorted.sort((x, y) => x.position.id - y.position.id);
    const result = this.#intern(first.holdsEmpty || second.holdsEmpty, sorted);
    this.#unions.set(key, result);
    return result;
  }

  #intern(holdsEmpty: boolean, tops: Stacks["tops"]): Stacks {
    const key = `${holdsEmpty} ${tops.map(({ position, below }) => `${position.id}:${below.id}`).join(" ")}`;
    let stacks = this.#stacks.get(key);
    if (!stacks) {
      const depth = 1 + Math.max(0, ...tops.map(({ below }) => below.depth));
      this.#stacks.set(key, (stacks = { id: this.#count++, holdsEmpty, tops, depth }));
    }
    return stacks;
  }
}
