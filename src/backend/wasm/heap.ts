import { OutOfMemoryError } from "../../errors.js";

export const PAGE = 65536;
/** The minimum by which the memory grows, in bytes. */
const STEP = 1 << 20;
const ALIGN = 64;

/** Number of pages that 32-bit addresses can reach: 4 GiB. */
export const MAX_PAGES = 65536;

/**
 * Creates a memory that can grow to 4 GiB, or to as much of it as the engine will reserve.
 *
 * @throws {OutOfMemoryError}
 */
export function createMemory(initialPages: number, shared: boolean): { memory: WebAssembly.Memory; pages: number } {
  for (let pages = MAX_PAGES; ; pages /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: initialPages, maximum: pages, shared }), pages };
    } catch (cause) {
      if (pages / 2 >= 4096) continue;
      throw new OutOfMemoryError({
        op: "WebAssembly memory",
        expected: `room for ${pages} pages`,
        got: String(cause),
        cause,
      });
    }
  }
}

interface Range {
  start: number;
  end: number;
}

/**
 * An allocator in a WebAssembly memory, best fit. It owns only the pages that its own calls of grow added, so the
 * module may grow the same memory for itself.
 */
export class Heap {
  /** Free ranges, sorted, never adjacent, all zero. */
  readonly #free: Range[] = [];
  #used = 0;

  constructor(
    readonly memory: WebAssembly.Memory,
    readonly maxPages = MAX_PAGES,
  ) {}

  /** Bytes handed out and not freed. */
  get used(): number {
    return this.#used;
  }

  /** The address of zeroed memory, a multiple of 64. @throws {OutOfMemoryError} */
  alloc(bytes: number): number {
    const size = blockSize(bytes);
    const range = this.#bestFit(size) ?? this.#grow(size);
    const { start } = range;
    range.start += size;
    if (range.start === range.end) this.#free.splice(this.#free.indexOf(range), 1);
    this.#used += size;
    return start;
  }

  free(address: number, bytes: number): void {
    const size = blockSize(bytes);
    this.#used -= size;
    // Zeroed here and not when freed, so that fresh pages from the system, already zero, need not be touched before use.
    new Uint8Array(this.memory.buffer, address, size).fill(0);
    this.#release({ start: address, end: address + size });
  }

  #bestFit(size: number): Range | undefined {
    let best: Range | undefined;
    for (const range of this.#free) {
      const room = range.end - range.start;
      if (room >= size && (best === undefined || room < best.end - best.start)) best = range;
    }
    return best;
  }

  #release(range: Range): void {
    const at = this.#free.findIndex((other) => other.start > range.start);
    const index = at < 0 ? this.#free.length : at;
    const [before, after] = [this.#free[index - 1], this.#free[index]];
    const joinsBefore = before?.end === range.start;
    const joinsAfter = after?.start === range.end;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#free.splice(index, 1);
    } else if (joinsBefore) before.end = range.end;
    else if (joinsAfter) after.start = range.start;
    else this.#free.splice(index, 0, range);
  }

  /** Adds pages and returns a free range of `size`. */
  #grow(size: number): Range {
    const pages = (bytes: number): number => Math.ceil(bytes / PAGE);
    // A free range at the end counts if the new pages follow it.
    const last = this.#free.at(-1);
    const missing = last?.end === this.memory.buffer.byteLength ? size - (last.end - last.start) : size;
    for (const wanted of [pages(Math.max(missing, STEP)), pages(missing)]) {
      const start = this.#growBy(wanted);
      if (start === undefined) continue;
      this.#release({ start, end: start + wanted * PAGE });
      // They do not if a thread's scratch memory came between.
      return this.#bestFit(size) ?? this.#grow(size);
    }
    throw new OutOfMemoryError({
      op: "WebAssembly memory",
      expected: `${size} bytes more`,
      got: `${this.#used} in use of at most ${this.maxPages * PAGE}`,
      hint: "Use a smaller model, a shorter context or a smaller batch; the native backend has no such limit",
    });
  }

  #growBy(pages: number): number | undefined {
    try {
      return this.memory.grow(pages) * PAGE;
    } catch {
      return undefined;
    }
  }
}

function blockSize(bytes: number): number {
  return Math.max(Math.ceil(bytes / ALIGN), 1) * ALIGN;
}
