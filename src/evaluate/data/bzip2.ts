import { DataError } from "../../errors.js";

/**
 * Decompresses bzip2 (the format of bzip2 1.0.8: "BZh", then blocks, each run-length coded, sorted by the Burrows-Wheeler
 * transform, move-to-front coded, and Huffman coded in groups of 50 symbols). Concatenated files decompress to one, as with
 * bunzip2.
 *
 * @throws {DataError} not bzip2, truncated or damaged: each block's checksum is verified.
 */
export function bunzip2(bytes: Uint8Array, name = "bzip2 data"): Uint8Array {
  const bits = new BitReader(bytes, name);
  const output: Uint8Array[] = [];
  do {
    if (bits.read(16) !== 0x425a || bits.read(8) !== 0x68) throw damaged(name, "a bzip2 file", "other bytes");
    const level = bits.read(8) - 0x30;
    if (level < 1 || level > 9) throw damaged(name, "a block size from 1 to 9", String(level));
    for (;;) {
      const mark = bits.read(24) * 2 ** 24 + bits.read(24);
      if (mark === END) break;
      if (mark !== BLOCK) throw damaged(name, "a block", "other bytes");
      output.push(readBlock(bits, level * 100_000, name));
    }
    bits.read(32); // Combines the blocks' checksums, which are verified above.
    bits.align();
  } while (bits.left > 0);
  return concatenate(output);
}

const BLOCK = 0x314159265359;
const END = 0x177245385090;
const GROUP = 50;
const MAX_CODE_LENGTH = 20;

function damaged(name: string, expected: string, got: string): DataError {
  return new DataError({ op: `decompressing ${name}`, expected, got, hint: "The file is damaged: fetch a new copy" });
}

class BitReader {
  #at = 0;
  #buffer = 0;
  #count = 0;

  constructor(
    readonly bytes: Uint8Array,
    readonly name: string,
  ) {}

  /** Bytes not yet read. */
  get left(): number {
    return this.bytes.length - this.#at;
  }

  /** The next `count` bits, at most 32, most significant first. */
  read(count: number): number {
    if (count > 16) return this.read(count - 16) * 2 ** 16 + this.read(16);
    while (this.#count < count) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw damaged(this.name, "more bytes", "its end");
      this.#buffer = ((this.#buffer << 8) | byte) & 0xffffff;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#buffer >>> this.#count) & ((1 << count) - 1);
  }

  /** Skips to the next whole byte. */
  align(): void {
    this.#count = 0;
  }
}

/** Decodes one block. */
function readBlock(bits: BitReader, maxLength: number, name: string): Uint8Array {
  const checksum = bits.read(32);
  if (bits.read(1) === 1) throw damaged(name, "a block that is not randomized", "one (bzip2 before 0.9.5)");
  const origin = bits.read(24);
  const symbols = readSymbolMap(bits);
  if (symbols.length === 0) throw damaged(name, "at least one symbol", "none");
  const tableCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) throw damaged(name, "2 to 6 tables", `${tableCount}`);
  const selectors = readSelectors(bits, tableCount, selectorCount);
  const tables = Array.from({ length: tableCount }, () => readTable(bits, symbols.length + 2));
  const sorted = readSorted(bits, symbols, tables, selectors, maxLength);
  if (origin >= sorted.length) throw damaged(name, `an origin below ${sorted.length}`, `${origin}`);
  const block = expandRuns(unsort(sorted, origin));
  if (crc32(block) !== checksum) throw damaged(name, "a block with the right checksum", "another");
  return block;
}

/** The byte values that occur: 16 bits for 16 ranges, then 16 for each range that is not empty. */
function readSymbolMap(bits: BitReader): number[] {
  const ranges = bits.read(16);
  const symbols: number[] = [];
  for (let range = 0; range < 16; range++) {
    if (((ranges >>> (15 - range)) & 1) === 0) continue;
    const used = bits.read(16);
    for (let i = 0; i < 16; i++) if ((used >>> (15 - i)) & 1) symbols.push(16 * range + i);
  }
  return symbols;
}

/** The table of each group of symbols, move-to-front coded. */
function readSelectors(bits: BitReader, tableCount: number, count: number): number[] {
  const order = Array.from({ length: tableCount }, (_, i) => i);
  return Array.from({ length: count }, () => {
    let place = 0;
    while (bits.read(1) === 1) place++;
    const table = order.splice(place, 1)[0];
    if (table === undefined) throw damaged(bits.name, "a table that exists", `number ${place}`);
    order.unshift(table);
    return table;
  });
}

/** A canonical Huffman code: for each length the largest code, and the offset from a code to its symbol. */
interface Table {
  readonly limits: Int32Array;
  readonly offsets: Int32Array;
  readonly symbols: readonly number[];
  /** Length of the shortest code. */
  readonly shortest: number;
}

function readTable(bits: BitReader, size: number): Table {
  const lengths: number[] = [];
  let length = bits.read(5);
  for (let i = 0; i < size; i++) {
    while (bits.read(1) === 1) length += bits.read(1) === 1 ? -1 : 1;
    if (length < 1 || length > MAX_CODE_LENGTH) throw damaged(bits.name, "codes of 1 to 20 bits", `${length}`);
    lengths.push(length);
  }
  const symbols = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const limits = new Int32Array(MAX_CODE_LENGTH + 1).fill(-1);
  const offsets = new Int32Array(MAX_CODE_LENGTH + 1);
  let [code, first] = [0, 0];
  for (let n = 1; n <= MAX_CODE_LENGTH; n++) {
    const count = lengths.filter((x) => x === n).length;
    offsets[n] = first - code;
    limits[n] = code + count - 1;
    code = (code + count) << 1;
    first += count;
  }
  return { limits, offsets, symbols, shortest: Math.min(...lengths) };
}

function readSymbol(bits: BitReader, { limits, offsets, symbols, shortest }: Table): number {
  let code = bits.read(shortest);
  for (let n = shortest; n <= MAX_CODE_LENGTH; n++, code = (code << 1) | bits.read(1)) {
    if (code <= limits[n]!) {
      const symbol = symbols[code + offsets[n]!];
      if (symbol !== undefined) return symbol;
    }
  }
  throw damaged(bits.name, "a code of the table", "another");
}

/** The sorted block: decodes Huffman codes, runs of the front symbol, and move-to-front. */
function readSorted(
  bits: BitReader,
  symbols: readonly number[],
  tables: readonly Table[],
  selectors: readonly number[],
  maxLength: number,
): Uint8Array {
  const output = new Uint8Array(maxLength);
  const front = [...symbols];
  const end = symbols.length + 1;
  let [length, run, weight] = [0, 0, 1];
  for (let n = 0; ; n++) {
    const selector = selectors[Math.floor(n / GROUP)];
    if (selector === undefined) throw damaged(bits.name, "a table for each group of symbols", "too few");
    const symbol = readSymbol(bits, tables[selector]!);
    // 0 and 1 are digits of a run length in bijective base 2.
    if (symbol <= 1) {
      run += weight << symbol;
      weight <<= 1;
      if (run > maxLength) throw damaged(bits.name, `at most ${maxLength} bytes in a block`, "more");
      continue;
    }
    if (length + run + 1 > maxLength + (symbol === end ? 1 : 0)) {
      throw damaged(bits.name, `at most ${maxLength} bytes in a block`, "more");
    }
    output.fill(front[0]!, length, length + run);
    length += run;
    [run, weight] = [0, 1];
    if (symbol === end) return output.subarray(0, length);
    const byte = front.splice(symbol - 1, 1)[0]!;
    front.unshift(byte);
    output[length++] = byte;
  }
}

/** Inverse of the Burrows-Wheeler transform. */
function unsort(sorted: Uint8Array, origin: number): Uint8Array {
  const starts = new Int32Array(257);
  for (const byte of sorted) starts[byte + 1]!++;
  for (let i = 0; i < 256; i++) starts[i + 1]! += starts[i]!;
  const next = new Int32Array(sorted.length);
  for (let i = 0; i < sorted.length; i++) next[starts[sorted[i]!]!++] = i;
  const output = new Uint8Array(sorted.length);
  let at = next[origin]!;
  for (let i = 0; i < output.length; i++) {
    output[i] = sorted[at]!;
    at = next[at]!;
  }
  return output;
}

/** Expands runs: four equal bytes are followed by the number of further ones. */
function expandRuns(bytes: Uint8Array): Uint8Array {
  let output = new Uint8Array(2 * bytes.length + 256);
  let [length, same, last] = [0, 0, -1];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (length + 256 > output.length) output = concatenate([output, new Uint8Array(output.length)]);
    if (same === 4) {
      output.fill(last, length, length + byte);
      length += byte;
      [same, last] = [0, -1];
      continue;
    }
    output[length++] = byte;
    same = byte === last ? same + 1 : 1;
    last = byte;
  }
  return output.subarray(0, length);
}

/** CRC-32, most significant bit first (polynomial 0x04c11db7), as bzip2 has it. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ byte) & 255]!;
  return ~crc >>> 0;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    output.set(part, at);
    at += part.length;
  }
  return output;
}
