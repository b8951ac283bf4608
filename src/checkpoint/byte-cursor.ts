import { CheckpointError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";

/** Number of bytes read from the source at a time, so that many small reads cost few system calls. */
const WINDOW = 2 ** 16;

/** Reads a source from front to back, as little-endian, never past `end`. */
export class ByteCursor {
  /** The source's name. */
  readonly file: string;
  readonly #source: ByteSource;
  readonly #end: number;
  readonly #op: string;
  #position: number;
  #window: Uint8Array = new Uint8Array(0);
  #view = viewOf(this.#window);
  #windowStart = 0;

  /** @param what the content, for errors: `pickle`. */
  constructor(source: ByteSource, start: number, end: number, what: string) {
    this.file = source.name;
    this.#source = source;
    this.#position = start;
    this.#end = Math.min(end, source.size);
    this.#op = `reading ${source.name}: ${what}`;
  }

  /** Position in the source of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** Bytes left up to the end. */
  get left(): number {
    return this.#end - this.#position;
  }

  /** Returns the next `length` bytes: a view, valid until the next call unless the source is in memory. */
  take(length: number): Uint8Array {
    if (length <= WINDOW) {
      const at = this.#take(length);
      return this.#window.subarray(at, at + length);
    }
    const start = this.#position;
    this.skip(length);
    return this.#source.bytes(start, length);
  }

  skip(length: number): void {
    if (length > this.left) {
      const expected = `${length} more bytes at byte ${this.#position}`;
      const hint = "The file is truncated or damaged";
      throw new CheckpointError({ op: this.#op, expected, got: `${this.left}`, hint });
    }
    this.#position += length;
  }

  /** Skips `count` texts, each preceded by its length in 8 bytes: a vocabulary has a hundred thousand of them. */
  skipTexts(count: number): void {
    for (let i = 0; i < count; ) {
      const first = this.#take(8);
      const [at, passed] = passTexts(this.#view, first, count - i);
      this.skip(at - first - 8);
      i += passed;
    }
  }

  u8(): number {
    const at = this.#take(1);
    return this.#window[at]!;
  }

  u16(): number {
    return this.view(2).getUint16(0, true);
  }

  u32(): number {
    const at = this.#take(4);
    return this.#view.getUint32(at, true);
  }

  i32(): number {
    return this.u32() | 0;
  }

  /** Rounded above 2^53: as a length or an offset such a number is refused anyway. */
  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** Returns the next `length` bytes, for other kinds of numbers. */
  view(length: number): DataView {
    return viewOf(this.take(length));
  }

  /** Skips the next `length` bytes, at most a window, and returns their position in the window. */
  #take(length: number): number {
    const start = this.#position;
    this.skip(length);
    const from = start - this.#windowStart;
    if (from >= 0 && from + length <= this.#window.length) return from;
    this.#window = this.#source.bytes(start, Math.min(WINDOW, this.#end - start));
    this.#view = viewOf(this.#window);
    this.#windowStart = start;
    return 0;
  }

  /** Reads Latin-1 text up to a line feed, which is dropped. */
  line(longest: number): string {
    let text = "";
    for (let c = this.u8(); c !== 0x0a; c = this.u8()) {
      if (text.length === longest) {
        const expected = `a line of at most ${longest} bytes before byte ${this.#position}`;
        throw new CheckpointError({
          op: this.#op,
          expected,
          got: `a longer line, ${JSON.stringify(text.slice(0, 40))}…`,
        });
      }
      text += String.fromCharCode(c);
    }
    return text;
  }
}

/**
 * Skips texts from `at` on, up to `count`, as long as their lengths are in the view; returns the next position and the number
 * skipped. A separate function, so that V8 optimizes it while it runs; it reads through a DataView, because eight single bytes
 * take twice as long before that.
 */
function passTexts(view: DataView, at: number, count: number): [at: number, passed: number] {
  const room = view.byteLength - 8;
  let passed = 0;
  while (passed < count && at <= room) {
    // Lengths of 2^32 and more exceed any file.
    const length = view.getUint32(at + 4, true) === 0 ? view.getUint32(at, true) : Number.MAX_SAFE_INTEGER;
    at += 8 + length;
    passed++;
  }
  return [at, passed];
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
