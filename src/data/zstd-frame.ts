/** The content of a Zstandard frame, block by block (RFC 8878, 3.1.1.2 and 3.1.1.3). */
import {
  BackwardBits,
  constantTable,
  type FseTable,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffman,
  readHuffmanTable,
  ZstdError,
} from "./zstd-entropy.js";

export const MAX_BLOCK_BYTES = 1 << 17;

/** Literal lengths, offsets, match lengths: the meaning of codes, the default distribution, the limits. */
interface Codes {
  readonly bases: readonly number[];
  readonly extraBits: readonly number[];
  readonly defaultTable: FseTable;
  readonly maxBits: number;
}

function codes(single: number, first: number, extraBits: readonly number[], table: FseTable, maxBits: number): Codes {
  const all = [...Array<number>(single).fill(0), ...extraBits];
  let base = first;
  const bases = all.map((bits) => {
    const own = base;
    base += 2 ** bits;
    return own;
  });
  return { bases, extraBits: all, defaultTable: table, maxBits };
}

const LITERAL_EXTRA = [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_EXTRA = [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERAL_COUNTS = [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
];
const MATCH_COUNTS = [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array<number>(37).fill(1), -1, -1, -1, -1, -1, -1, -1];
const OFFSET_COUNTS = [1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array<number>(15).fill(1), -1, -1, -1, -1, -1];

const LITERALS = codes(16, 0, LITERAL_EXTRA, fseTable(LITERAL_COUNTS, 6), 9);
const MATCHES = codes(32, 3, MATCH_EXTRA, fseTable(MATCH_COUNTS, 6), 9);
/** Code c stands for 2^c plus c bits. */
const OFFSETS = codes(
  0,
  1,
  Array.from({ length: 32 }, (_, c) => c),
  fseTable(OFFSET_COUNTS, 5),
  8,
);

export class FrameContent {
  /** Number of bytes that matches may reach back. */
  readonly #window: number;
  /** The last bytes; those from `#taken` on were not returned yet. */
  #bytes = new Uint8Array(4 * MAX_BLOCK_BYTES);
  #end = 0;
  #taken = 0;
  #huffman: HuffmanTable | undefined;
  #literals: FseTable | undefined;
  #offsets: FseTable | undefined;
  #matches: FseTable | undefined;
  #repeated: [number, number, number] = [1, 4, 8];

  constructor(window: number) {
    this.#window = window;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve();
    this.#append(bytes);
  }

  repeat(byte: number, count: number): void {
    this.#reserve();
    if (count > MAX_BLOCK_BYTES) throw new ZstdError("a block that is too long");
    this.#bytes.fill(byte, this.#end, this.#end + count);
    this.#end += count;
  }

  /** @throws {ZstdError} */
  compressed(block: Uint8Array): void {
    this.#reserve();
    const [literals, size] = this.#readLiterals(block);
    this.#readSequences(block.subarray(size), literals);
  }

  /** The bytes added since the last call, valid until the next block. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(this.#taken, this.#end);
    this.#taken = this.#end;
    return taken;
  }

  /** Makes room for a block and the window before it. */
  #reserve(): void {
    if (this.#end + MAX_BLOCK_BYTES <= this.#bytes.length) return;
    const kept = Math.min(this.#window, this.#end);
    // Twice the window at most, so no more bytes are moved than written.
    const wanted = 2 * kept + 4 * MAX_BLOCK_BYTES;
    const from = this.#end - kept;
    if (wanted > this.#bytes.length) {
      const larger = new Uint8Array(wanted);
      larger.set(this.#bytes.subarray(from, this.#end));
      this.#bytes = larger;
    } else {
      this.#bytes.copyWithin(0, from, this.#end);
    }
    this.#end = this.#taken = kept;
  }

  #append(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** 3.1.1.3.1. Returns the literals, and the size of their section. */
  #readLiterals(block: Uint8Array): [literals: Uint8Array, size: number] {
    if (block.length < 1) throw new ZstdError("an empty block");
    const [type, format] = [block[0]! & 3, (block[0]! >> 2) & 3];
    if (type < 2) {
      const header = [1, 2, 1, 3][format]!;
      const length = header === 1 ? block[0]! >> 3 : Math.floor(little(block, 0, header) / 16);
      const end = header + (type === 0 ? length : 1);
      checkSection(length, end, block);
      return [type === 0 ? block.subarray(header, end) : new Uint8Array(length).fill(block[header]!), end];
    }
    const header = [3, 3, 4, 5][format]!;
    const limit = 2 ** [10, 10, 14, 18][format]!;
    const sizes = Math.floor(little(block, 0, header) / 16);
    const [length, compressed] = [sizes % limit, Math.floor(sizes / limit)];
    const end = header + compressed;
    checkSection(length, end, block);
    let streams = block.subarray(header, end);
    if (type === 2) {
      const [table, size] = readHuffmanTable(streams);
      this.#huffman = table;
      streams = streams.subarray(size);
    }
    if (!this.#huffman) throw new ZstdError("a Huffman table that is not there");
    const literals = new Uint8Array(length);
    if (format === 0) readHuffman(streams, this.#huffman, literals);
    else readFourStreams(streams, this.#huffman, literals);
    return [literals, end];
  }

  /** 3.1.1.3.2. */
  #readSequences(bytes: Uint8Array, literals: Uint8Array): void {
    const first = bytes[0] ?? 0;
    const header = first < 128 ? 1 : first < 255 ? 2 : 3;
    if (bytes.length < header) throw new ZstdError("a block that is cut short");
    const count =
      first < 128 ? first : first < 255 ? ((first - 128) << 8) + bytes[1]! : bytes[1]! + (bytes[2]! << 8) + 0x7f00;
    if (count === 0) {
      if (bytes.length > header) throw new ZstdError("a block that goes on after its end");
      this.#append(literals);
      return;
    }
    const modes = bytes[header] ?? 0;
    if (bytes.length === header || (modes & 3) !== 0) throw new ZstdError("damaged sequences");
    let at = header + 1;
    const table = (mode: number, codes: Codes, before: FseTable | undefined): FseTable => {
      if (mode === 0) return codes.defaultTable;
      if (mode === 1) {
        const symbol = bytes[at++] ?? 255;
        if (symbol >= codes.bases.length) throw new ZstdError("an unknown code");
        return constantTable(symbol);
      }
      if (mode === 2) {
        const [read, size] = readFseTable(bytes.subarray(at), codes.maxBits, codes.bases.length - 1);
        at += size;
        return read;
      }
      if (before === undefined) throw new ZstdError("an FSE table that is not there");
      return before;
    };
    this.#literals = table((modes >> 6) & 3, LITERALS, this.#literals);
    this.#offsets = table((modes >> 4) & 3, OFFSETS, this.#offsets);
    this.#matches = table((modes >> 2) & 3, MATCHES, this.#matches);
    this.#execute(count, new BackwardBits(bytes.subarray(at)), literals);
  }

  /** 3.1.1.4: literals, then a copy from `offset` bytes before. */
  #execute(count: number, stream: BackwardBits, literals: Uint8Array): void {
    const [ll, of, ml] = [this.#literals!, this.#offsets!, this.#matches!];
    let [l, o, m] = [stream.read(ll.bits), stream.read(of.bits), stream.read(ml.bits)];
    const blockEnd = this.#end + MAX_BLOCK_BYTES;
    let used = 0;
    for (let i = 0; i < count; i++) {
      const [lCode, oCode, mCode] = [ll.symbols[l]!, of.symbols[o]!, ml.symbols[m]!];
      const value = OFFSETS.bases[oCode]! + stream.read(oCode);
      const match = MATCHES.bases[mCode]! + stream.read(MATCHES.extraBits[mCode]!);
      const length = LITERALS.bases[lCode]! + stream.read(LITERALS.extraBits[lCode]!);
      if (i < count - 1) {
        l = ll.bases[l]! + stream.read(ll.counts[l]!);
        m = ml.bases[m]! + stream.read(ml.counts[m]!);
        o = of.bases[o]! + stream.read(of.counts[o]!);
      }
      const offset = this.#offset(value, length);
      if (stream.left < 0 || used + length > literals.length || this.#end + length + match > blockEnd) {
        throw new ZstdError("sequences that do not fit");
      }
      this.#append(literals.subarray(used, used + length));
      used += length;
      if (offset > Math.min(this.#end, this.#window)) throw new ZstdError("a match before the window");
      this.#copy(offset, match);
    }
    if (stream.left !== 0) throw new ZstdError("sequences that do not fit");
    if (this.#end + literals.length - used > blockEnd) throw new ZstdError("a block that is too long");
    this.#append(literals.subarray(used));
  }

  /** 3.1.1.5: small values repeat one of the last three offsets. */
  #offset(value: number, literals: number): number {
    const [first, second, third] = this.#repeated;
    const which = value > 3 ? 4 : value - (literals > 0 ? 1 : 0);
    if (which === 0) return first;
    const offset = which === 4 ? value - 3 : which === 1 ? second : which === 2 ? third : first - 1;
    if (offset === 0) throw new ZstdError("an offset of 0");
    this.#repeated = [offset, first, which === 1 ? third : second];
    return offset;
  }

  #copy(offset: number, length: number): void {
    const bytes = this.#bytes;
    const [from, to] = [this.#end - offset, this.#end];
    if (offset >= length) bytes.copyWithin(to, from, from + length);
    else for (let i = 0; i < length; i++) bytes[to + i] = bytes[from + i]!;
    this.#end += length;
  }
}

function readFourStreams(bytes: Uint8Array, table: HuffmanTable, out: Uint8Array): void {
  if (bytes.length < 6) throw new ZstdError("literals that are cut short");
  const quarter = (out.length + 3) >> 2;
  let [from, to] = [6, 0];
  for (let i = 0; i < 4; i++) {
    const end = i < 3 ? from + little(bytes, 2 * i, 2) : bytes.length;
    const outEnd = i < 3 ? to + quarter : out.length;
    if (end > bytes.length || outEnd > out.length) throw new ZstdError("literals that do not fit");
    readHuffman(bytes.subarray(from, end), table, out.subarray(to, outEnd));
    [from, to] = [end, outEnd];
  }
}

function checkSection(length: number, end: number, block: Uint8Array): void {
  if (length > MAX_BLOCK_BYTES || end > block.length) throw new ZstdError("literals that do not fit");
}

/** A little-endian number of up to 8 bytes. */
export function little(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
