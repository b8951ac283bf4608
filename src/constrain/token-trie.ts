/** The tokens of a vocabulary as a trie of bytes, with its nodes in depth-first order. Node 0 is the root. */
export class TokenTrie {
  /** Ids are below this. */
  readonly vocabSize: number;
  /** Bytes of the longest token. */
  readonly longest: number;
  readonly size: number;
  /** The last byte of each node. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  /** The first node after each node's subtree. */
  readonly ends: Int32Array;
  /** The token that ends at a node, or -1. */
  readonly tokens: Int32Array;
  /** Further tokens with the same bytes, by token. */
  readonly twins = new Map<number, number[]>();
  /** The nodes of the first bytes. */
  readonly roots: readonly number[];
  /** Masks of all tokens below a node, without its own. */
  readonly #below = new Map<number, Uint32Array>();
  /** Results of walks, by the state from which they started. */
  #walks = new WeakMap<object, Walk>();
  #walkBytes = 0;

  /** @param tokens the bytes of each id; undefined or empty for ids without text, which no constraint allows */
  constructor(tokens: readonly (Uint8Array | undefined)[]) {
    this.vocabSize = tokens.length;
    const ids = [...tokens.keys()].filter((id) => (tokens[id]?.length ?? 0) > 0);
    ids.sort((a, b) => compare(tokens[a]!, tokens[b]!) || a - b);
    const most = 1 + ids.reduce((sum, id) => sum + tokens[id]!.length, 0);
    const bytes = new Uint8Array(most);
    const depths = new Uint16Array(most);
    const ends = new Int32Array(most);
    const nodeTokens = new Int32Array(most).fill(-1);
    let [size, longest, previous] = [1, 0, new Uint8Array()];
    const open = [0];
    for (const id of ids) {
      const own = tokens[id]!;
      let common = 0;
      while (common < previous.length && common < own.length && previous[common] === own[common]) common++;
      while (open.length > common + 1) ends[open.pop()!] = size;
      for (let d = common; d < own.length; d++) {
        open.push(size);
        bytes[size] = own[d]!;
        depths[size++] = d + 1;
      }
      const node = open.at(-1)!;
      const first = nodeTokens[node]!;
      if (first < 0) nodeTokens[node] = id;
      else this.twins.set(first, [...(this.twins.get(first) ?? []), id]);
      longest = Math.max(longest, own.length);
      previous = new Uint8Array(own);
    }
    for (const node of open) ends[node] = size;
    this.size = size;
    this.longest = longest;
    this.bytes = bytes.slice(0, size);
    this.depths = depths.slice(0, size);
    this.ends = ends.slice(0, size);
    this.tokens = nodeTokens.slice(0, size);
    const roots: number[] = [];
    for (let node = 1; node < size; node = ends[node]!) roots.push(node);
    this.roots = roots;
  }

  /** Removes the tokens below a first byte from a mask. */
  forbidBelow(mask: Uint32Array, root: number): void {
    let below = this.#below.get(root);
    if (!below) {
      below = new Uint32Array(this.maskWords);
      for (let node = root; node < this.ends[root]!; node++) this.allow(below, node);
      this.#below.set(root, below);
    }
    for (let i = 0; i < mask.length; i++) mask[i]! &= ~below[i]!;
  }

  /** The node of a byte below a node, or -1. */
  child(node: number, byte: number): number {
    for (let i = node + 1; i < this.ends[node]!; i = this.ends[i]!) if (this.bytes[i] === byte) return i;
    return -1;
  }

  /** Number of words in a mask over the vocabulary. */
  get maskWords(): number {
    return (this.vocabSize + 31) >> 5;
  }

  /** Adds the tokens that end at a node to a mask. */
  allow(mask: Uint32Array, node: number): void {
    const token = this.tokens[node]!;
    if (token < 0) return;
    mask[token >> 5]! |= 1 << (token & 31);
    if (this.twins.size > 0) for (const twin of this.twins.get(token) ?? []) mask[twin >> 5]! |= 1 << (twin & 31);
  }

  /** The walk from a state, made once and kept as long as the state and memory last. */
  walk(state: object, make: () => Walk): Walk {
    const known = this.#walks.get(state);
    if (known) return known;
    const walk = make();
    this.#walkBytes += walk.size;
    if (this.#walkBytes > MOST_WALK_BYTES) {
      this.#walks = new WeakMap();
      this.#walkBytes = walk.size;
    }
    this.#walks.set(state, walk);
    return walk;
  }
}

const MOST_WALK_BYTES = 1 << 26;

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** The tokens that fit completely in a terminal from one of its states, and the nodes inside tokens at which it may end. */
export class Walk {
  /** Either a mask or, for few tokens, their ids. */
  readonly #mask: Uint32Array | undefined;
  readonly #ids: Int32Array | undefined;
  /** Nodes with children at which the terminal may end. */
  readonly exits: Int32Array;

  constructor(mask: Uint32Array, exits: readonly number[]) {
    this.exits = Int32Array.from(exits);
    const ids = idsOf(mask, mask.length);
    if (ids) this.#ids = ids;
    else this.#mask = mask.slice();
  }

  /** Size in bytes. */
  get size(): number {
    return 128 + (this.#mask ?? this.#ids!).byteLength + this.exits.byteLength;
  }

  addTo(mask: Uint32Array): void {
    const own = this.#mask;
    if (own) for (let i = 0; i < own.length; i++) mask[i]! |= own[i]!;
    else for (const id of this.#ids!) mask[id >> 5]! |= 1 << (id & 31);
  }
}

/** The ids of a mask; undefined if there are more than `most`. */
export function idsOf(mask: Uint32Array, most = Number.POSITIVE_INFINITY): Int32Array | undefined {
  const ids: number[] = [];
  for (let i = 0; i < mask.length; i++) {
    for (let word = mask[i]!; word !== 0; word &= word - 1) {
      ids.push(32 * i + 31 - Math.clz32(word & -word));
      if (ids.length > most) return undefined;
    }
  }
  return Int32Array.from(ids);
}
