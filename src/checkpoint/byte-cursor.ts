import { CheckpointError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";

/** Bytes asked of the source at a time: what is read in small steps costs few system calls. */
const WINDOW = 2 ** 16;

/** Reads a source from front to back, in little-endian, never past `end`. */
export class ByteCursor {
  readonly #source: ByteSource;
  readonly #end: number;
  readonly #op: string;
  #position: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;

  /** @param what is being read, for errors: `pickle`. */
  constructor(source: ByteSource, start: number, end: number, what: string) {
    this.#source = source;
    this.#position = start;
    this.#end = Math.min(end, source.size);
    this.#op = `reading ${source.name}: ${what}`;
  }

  /** In the source, of the byte that comes next. */
  get position(): number {
    return this.#position;
  }

  /** The next `length` bytes: a view, valid until the next call unless the source is in memory. */
  take(length: number): Uint8Array {
    const left = this.#end - this.#position;
    if (length > left) {
      const expected = `${length} more bytes at byte ${this.#position}`;
      throw new CheckpointError({ op: this.#op, expected, got: `${left}`, hint: "The file is truncated or damaged" });
    }
    const start = this.#position;
    this.#position += length;
    if (length > WINDOW) return this.#source.bytes(start, length);
    let from = start - this.#windowStart;
    if (from < 0 || from + length > this.#window.length) {
      this.#window = this.#source.bytes(start, Math.min(WINDOW, this.#end - start));
      this.#windowStart = start;
      from = 0;
    }
    return this.#window.subarray(from, from + length);
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    return view(this.take(2)).getUint16(0, true);
  }

  u32(): number {
    return view(this.take(4)).getUint32(0, true);
  }

  i32(): number {
    return view(this.take(4)).getInt32(0, true);
  }

  /** Rounded above 2^53: as a length or an offset such a number is refused anyway. */
  u64(): number {
    const bytes = view(this.take(8));
    return bytes.getUint32(4, true) * 2 ** 32 + bytes.getUint32(0, true);
  }

  /** Latin-1 text up to a line feed, without it. */
  line(longest: number): string {
    let text = "";
    for (let c = this.u8(); c !== 0x0a; c = this.u8()) {
      if (text.length === longest) {
        const expected = `a line of at most ${longest} bytes before byte ${this.#position}`;
        throw new CheckpointError({ op: this.#op, expected, got: "a longer one" });
      }
      text += String.fromCharCode(c);
    }
    return text;
  }
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
