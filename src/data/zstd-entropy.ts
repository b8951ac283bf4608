/** Zstandard's entropy coding (RFC 8878, 4): bit streams read backwards, finite state entropy (FSE), Huffman codes. */

/** Damaged data. */
export class ZstdError extends Error {}

/** Index of the highest set bit; -1 for 0. */
export const highestBit = (x: number): number => 31 - Math.clz32(x);

/** Reads bits from the end of a range of bytes to its start, followed by zeros. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  /** Number of bits left; negative once zeros before the start were read. */
  left: number;

  /** @throws {ZstdError} the last byte, whose highest bit marks the end, is 0 or missing. */
  constructor(bytes: Uint8Array) {
    const last = bytes.at(-1) ?? 0;
    if (last === 0) throw new ZstdError("a bit stream without an end");
    this.#bytes = bytes;
    this.left = 8 * (bytes.length - 1) + highestBit(last);
  }

  /** @param count at most 31 */
  read(count: number): number {
    if (count > 16) {
      const high = this.read(count - 16);
      return high * 65536 + this.read(16);
    }
    this.left -= count;
    if (this.left < 0) return this.#beforeStart(count);
    const bytes = this.#bytes;
    const at = this.left >> 3;
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    return (word >> (this.left & 7)) & ((1 << count) - 1);
  }

  #beforeStart(count: number): number {
    const there = count + this.left;
    if (there <= 0) return 0;
    return ((this.#bytes[0]! | (this.#bytes[1]! << 8) | (this.#bytes[2]! << 16)) & ((1 << there) - 1)) << -this.left;
  }
}

/** For each state: its symbol, and the base and number of bits that give the next state. */
export interface FseTable {
  /** Bits of a first state; the table has 2^bits states. */
  readonly bits: number;
  readonly symbols: Uint8Array;
  readonly counts: Uint8Array;
  readonly bases: Uint16Array;
}

/** @param counts share of each symbol in 2^bits, -1 for less than one */
export function fseTable(counts: readonly number[], bits: number): FseTable {
  const size = 1 << bits;
  const table = { bits, symbols: new Uint8Array(size), counts: new Uint8Array(size), bases: new Uint16Array(size) };
  const next = new Uint16Array(counts.length);
  let high = size;
  for (const [symbol, count] of counts.entries()) {
    next[symbol] = Math.abs(count);
    if (count === -1) table.symbols[--high] = symbol;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      table.symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  for (let state = 0; state < size; state++) {
    const x = next[table.symbols[state]!]!++;
    const count = bits - highestBit(x);
    table.counts[state] = count;
    table.bases[state] = (x << count) - size;
  }
  return table;
}

/** A table with a single symbol, which takes no bits. */
export function constantTable(symbol: number): FseTable {
  return { bits: 0, symbols: Uint8Array.of(symbol), counts: Uint8Array.of(0), bases: Uint16Array.of(0) };
}

/**
 * Reads a table's description (4.1.1) forwards.
 *
 * @returns the table, and the size of its description in bytes
 * @throws {ZstdError} it is truncated, or not a distribution within these limits of symbols and bits.
 */
export function readFseTable(bytes: Uint8Array, maxBits: number, maxSymbol: number): [table: FseTable, size: number] {
  let position = 0;
  const peek = (count: number): number => {
    const at = position >> 3;
    const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    return (word >> (position & 7)) & ((1 << count) - 1);
  };
  const bits = peek(4) + 5;
  position += 4;
  if (bits > maxBits) throw new ZstdError("an FSE table with too many bits");
  const counts: number[] = [];
  let left = 1 << bits;
  while (left > 0 && counts.length <= maxSymbol) {
    const width = highestBit(left + 1) + 1;
    const low = (1 << (width - 1)) - 1;
    const threshold = (1 << width) - 2 - left;
    let value = peek(width);
    const isShort = (value & low) < threshold;
    if (isShort) value &= low;
    else if (value > low) value -= threshold;
    position += isShort ? width - 1 : width;
    const count = value - 1;
    counts.push(count);
    left -= Math.abs(count);
    if (count !== 0) continue;
    for (let repeat = 3; repeat === 3; ) {
      repeat = peek(2);
      position += 2;
      for (let i = 0; i < repeat; i++) counts.push(0);
    }
  }
  const size = (position + 7) >> 3;
  if (left !== 0 || counts.length > maxSymbol + 1 || size > bytes.length) throw new ZstdError("a damaged FSE table");
  return [fseTable(counts, bits), size];
}

/** For each value of `bits` bits: the symbol that it begins with, and the length of its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

const MAX_HUFFMAN_BITS = 11;

/** Reads a table's description (4.2.1). Returns the table and the size in bytes. @throws {ZstdError} it is not a code. */
export function readHuffmanTable(bytes: Uint8Array): [table: HuffmanTable, size: number] {
  const header = bytes[0] ?? 0;
  const size = 1 + (header < 128 ? header : (header - 126) >> 1);
  if (bytes.length < size) throw new ZstdError("a Huffman table that is cut short");
  const weights =
    header < 128
      ? compressedWeights(bytes.subarray(1, size))
      : Array.from({ length: header - 127 }, (_, i) => (bytes[1 + (i >> 1)]! >> (i & 1 ? 0 : 4)) & 15);
  return [huffmanTable(weights), size];
}

/** Decodes with two alternating states until the bits end. */
function compressedWeights(bytes: Uint8Array): number[] {
  const [{ bits, symbols, counts, bases }, size] = readFseTable(bytes, 6, 255);
  const stream = new BackwardBits(bytes.subarray(size));
  const states = [stream.read(bits), stream.read(bits)];
  const weights: number[] = [];
  for (let turn = 0; weights.length < 255; turn ^= 1) {
    const state = states[turn]!;
    weights.push(symbols[state]!);
    states[turn] = bases[state]! + stream.read(counts[state]!);
    if (stream.left >= 0) continue;
    weights.push(symbols[states[turn ^ 1]!]!);
    return weights;
  }
  throw new ZstdError("a Huffman table with too many symbols");
}

/** The last symbol's weight is implicit: it completes the sum to a power of two. */
function huffmanTable(weights: readonly number[]): HuffmanTable {
  const sum = weights.reduce((total, weight) => total + (weight > 0 ? 2 ** (weight - 1) : 0), 0);
  const bits = highestBit(sum) + 1;
  const rest = 2 ** bits - sum;
  const isCode = sum > 0 && bits <= MAX_HUFFMAN_BITS && (rest & (rest - 1)) === 0;
  if (!isCode || weights.length > 255) throw new ZstdError("a damaged Huffman table");
  const size = 1 << bits;
  const table = { bits, symbols: new Uint8Array(size), lengths: new Uint8Array(size) };
  const all = [...weights, highestBit(rest) + 1];
  // Codes are assigned from the least weight (the longest code) on, and by symbol within a weight.
  let code = 0;
  for (let weight = 1; weight <= bits; weight++) {
    for (const [symbol, other] of all.entries()) {
      if (other !== weight) continue;
      const end = code + (1 << (weight - 1));
      table.symbols.fill(symbol, code, end);
      table.lengths.fill(bits + 1 - weight, code, end);
      code = end;
    }
  }
  return table;
}

/** Fills `out` with symbols. @throws {ZstdError} the bits are not exactly those. */
export function readHuffman(bytes: Uint8Array, { bits, symbols, lengths }: HuffmanTable, out: Uint8Array): void {
  const stream = new BackwardBits(bytes);
  const mask = (1 << bits) - 1;
  let state = stream.read(bits);
  for (let i = 0; i < out.length; i++) {
    out[i] = symbols[state]!;
    const count = lengths[state]!;
    state = ((state << count) | stream.read(count)) & mask;
  }
  if (stream.left !== -bits) throw new ZstdError("Huffman codes that do not fit");
}
