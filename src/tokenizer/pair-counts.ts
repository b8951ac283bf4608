import { hashPair } from "./pair-table.js";

/**
 * Adjacent pairs of symbols in a training corpus, with their counts and positions. Naively a map from pairs to `{ count,
 * positions[] }`; here flat arrays. Pairs are numbered in the order in which they first occur. A pair's positions are kept
 * in the order in which they were added, even after the pair there has disappeared.
 */
export class PairCounts {
  size = 0;
  left = new Int32Array(1 << 12);
  right = new Int32Array(1 << 12);
  counts = new Float64Array(1 << 12);
  /** First and last node of each pair's list of positions; -1 for an empty list. */
  #head = new Int32Array(1 << 12);
  #tail = new Int32Array(1 << 12);
  #slots = new Int32Array(1 << 13);
  #nodes = 0;
  #nodePosition = new Int32Array(1 << 16);
  #nodeNext = new Int32Array(1 << 16);

  /** Number of the pair, or -1 if it never occurred. */
  find(a: number, b: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashPair(a, b) & mask;
    for (let entry = 0; (entry = this.#slots[slot]!) !== 0; slot = (slot + 1) & mask) {
      if (this.left[entry - 1] === a && this.right[entry - 1] === b) return entry - 1;
    }
    return -1;
  }

  /** Adds `weight` to the count of a pair that occurs at `position`; returns the pair's number. */
  add(a: number, b: number, weight: number, position: number): number {
    let pair = this.find(a, b);
    if (pair < 0) pair = this.#insert(a, b);
    this.counts[pair]! += weight;
    const node = this.#newNode(position);
    if (this.#head[pair] === -1) this.#head[pair] = node;
    else this.#nodeNext[this.#tail[pair]!] = node;
    this.#tail[pair] = node;
    return pair;
  }

  /** Subtracts `weight` from a pair's count. Its positions stay: the user must check which symbols are there. */
  subtract(a: number, b: number, weight: number): void {
    this.counts[this.find(a, b)]! -= weight;
  }

  /** Removes and returns all positions ever added to the pair, ascending. */
  takePositions(pair: number): Int32Array {
    let n = 0;
    for (let node = this.#head[pair]!; node !== -1; node = this.#nodeNext[node]!) n++;
    const positions = new Int32Array(n);
    let sorted = true;
    let i = 0;
    for (let node = this.#head[pair]!; node !== -1; node = this.#nodeNext[node]!) {
      positions[i] = this.#nodePosition[node]!;
      if (i > 0 && positions[i]! < positions[i - 1]!) sorted = false;
      i++;
    }
    this.#head[pair] = this.#tail[pair] = -1;
    return sorted ? positions : positions.sort();
  }

  #newNode(position: number): number {
    if (this.#nodes === this.#nodePosition.length) {
      this.#nodePosition = grown(this.#nodePosition, new Int32Array(2 * this.#nodes));
      this.#nodeNext = grown(this.#nodeNext, new Int32Array(2 * this.#nodes));
    }
    this.#nodePosition[this.#nodes] = position;
    this.#nodeNext[this.#nodes] = -1;
    return this.#nodes++;
  }

  #insert(a: number, b: number): number {
    if (this.size === this.left.length) this.#grow();
    const pair = this.size++;
    this.left[pair] = a;
    this.right[pair] = b;
    this.#head[pair] = this.#tail[pair] = -1;
    this.#place(pair);
    return pair;
  }

  #place(pair: number): void {
    const mask = this.#slots.length - 1;
    let slot = hashPair(this.left[pair]!, this.right[pair]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = pair + 1;
  }

  #grow(): void {
    const length = 2 * this.left.length;
    this.left = grown(this.left, new Int32Array(length));
    this.right = grown(this.right, new Int32Array(length));
    this.counts = grown(this.counts, new Float64Array(length));
    this.#head = grown(this.#head, new Int32Array(length));
    this.#tail = grown(this.#tail, new Int32Array(length));
    this.#slots = new Int32Array(2 * length);
    for (let pair = 0; pair < this.size; pair++) this.#place(pair);
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
