import xxhash, { type XXHashAPI } from "xxhash-wasm";
import { ZstdError } from "./zstd-entropy.js";
import { FrameContent, little, MAX_BLOCK_BYTES } from "./zstd-frame.js";

/**
 * A Zstandard decoder (RFC 8878) for streams of any length and number of frames, which checks everything that can be checked,
 * checksums included. It is our own because Node's exists only from 22.15 on and ends silently after the first of several frames
 * (`pzstd`, `cat a.zst b.zst`; Node 24.21), and those of npm ignore checksums, or loop forever on damaged data.
 */
export class ZstdDecoder {
  readonly #parser: Generator<number, void, Uint8Array>;
  readonly #output: Uint8Array[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  /** Number of bytes that the parser waits for. */
  #needed: number;
  /** Whether they begin a frame. */
  #isBetween = true;

  private constructor(hashes: XXHashAPI) {
    this.#parser = this.#frames(hashes);
    this.#needed = this.#parser.next().value as number;
  }

  static async create(): Promise<ZstdDecoder> {
    return new ZstdDecoder(await xxhash());
  }

  /** Adds bytes. Returns the content that they complete. @throws {ZstdError} they are damaged. */
  push(chunk: Uint8Array): Uint8Array[] {
    let bytes = this.#pending.length === 0 ? chunk : joined(this.#pending, chunk);
    while (bytes.length >= this.#needed) {
      const part = bytes.subarray(0, this.#needed);
      bytes = bytes.subarray(this.#needed);
      this.#needed = this.#parser.next(part).value as number;
    }
    this.#pending = bytes.slice();
    return this.#output.splice(0);
  }

  /** Call after the last bytes. @throws {ZstdError} a frame is incomplete. */
  end(): void {
    if (!this.#isBetween || this.#pending.length > 0) throw new ZstdError("unexpected end of data");
  }

  /** Yields the number of bytes that it needs, and receives them. */
  *#frames(hashes: XXHashAPI): Generator<number, void, Uint8Array> {
    for (;;) {
      this.#isBetween = true;
      const magic = little(yield 4, 0, 4);
      this.#isBetween = false;
      if (magic === MAGIC) yield* this.#frame(hashes);
      else if (magic >= SKIPPABLE && magic < SKIPPABLE + 16) yield* skip(little(yield 4, 0, 4));
      else throw new ZstdError("data that is not zstd");
    }
  }

  *#frame(hashes: XXHashAPI): Generator<number, void, Uint8Array> {
    const { window, size, hasChecksum } = yield* frameHeader();
    const content = new FrameContent(window);
    const hash = hasChecksum ? hashes.create64() : undefined;
    let total = 0;
    for (let isLast = false; !isLast; ) {
      const header = little(yield 3, 0, 3);
      isLast = (header & 1) === 1;
      yield* block(content, (header >> 1) & 3, header >> 3);
      const bytes = content.take().slice();
      total += bytes.length;
      hash?.update(bytes);
      if (bytes.length > 0) this.#output.push(bytes);
    }
    if (size !== undefined && size !== total) throw new ZstdError("content of another length");
    if (!hash) return;
    const checksum = little(yield 4, 0, 4);
    if (Number(hash.digest() & 0xffffffffn) !== checksum) throw new ZstdError("content with another checksum");
  }
}

const MAGIC = 0xfd2fb528;
/** Up to 0x184d2a5f: frames of other programs' data. */
const SKIPPABLE = 0x184d2a50;
/** Most memory for a file. The zstd program refuses more than 128 MiB by default. */
const MAX_WINDOW = 2 ** 30;

interface FrameHeader {
  readonly window: number;
  /** Size of the content in bytes, if stated. */
  readonly size: number | undefined;
  readonly hasChecksum: boolean;
}

/** 3.1.1.1. */
function* frameHeader(): Generator<number, FrameHeader, Uint8Array> {
  const [descriptor] = (yield 1) as unknown as [number];
  const isSingle = (descriptor & 32) !== 0;
  if (descriptor & 8) throw new ZstdError("a frame of a later version");
  let window = 0;
  if (!isSingle) {
    const [byte] = (yield 1) as unknown as [number];
    window = 2 ** (10 + (byte >> 3)) * (1 + (byte & 7) / 8);
  }
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  if (dictionary > 0 && little(yield dictionary, 0, dictionary) !== 0) throw new ZstdError("a frame for a dictionary");
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const size = sizeBytes > 0 ? little(yield sizeBytes, 0, sizeBytes) + (sizeBytes === 2 ? 256 : 0) : undefined;
  if (isSingle) window = size!;
  // A window larger than the content costs nothing.
  if (Math.min(window, size ?? window) > MAX_WINDOW) throw new ZstdError("a window of more than 1 GiB");
  return { window, size, hasChecksum: (descriptor & 4) !== 0 };
}

/** 3.1.1.2. */
function* block(content: FrameContent, type: number, size: number): Generator<number, void, Uint8Array> {
  if (type === 1) {
    const [byte] = (yield 1) as unknown as [number];
    content.repeat(byte, size);
    return;
  }
  if (type === 3 || size > MAX_BLOCK_BYTES) throw new ZstdError("a damaged block");
  const bytes = size > 0 ? yield size : new Uint8Array(0);
  if (type === 0) content.raw(bytes);
  else content.compressed(bytes);
}

function* skip(size: number): Generator<number, void, Uint8Array> {
  for (let left = size; left > 0; ) {
    const part = Math.min(left, 2 ** 16);
    yield part;
    left -= part;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
