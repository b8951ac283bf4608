/**
 * Zstandard (RFC 8878) with its checksums. fzstd decompresses frames and ignores the checksum at the end of one, so the parts of
 * a frame are told apart here: each block says how long it is.
 *
 * Not Node's own zstd (22.15 and later), which ends silently after the first frame of a file that has several, as `pzstd` and
 * `cat a.zst b.zst` make them (Node 24.21).
 */
import { Decompress } from "fzstd";
import xxhash, { type XXHash, type XXHashAPI } from "xxhash-wasm";

const MAGIC = 0xfd2fb528;
/** 0x184d2a50 to 0x184d2a5f: frames of other programs' data. */
const SKIPPABLE = 0x184d2a50;
/** Magic and descriptor. */
const HEADER_BYTES = 5;

/** What the next bytes are. */
type Part =
  | { readonly kind: "start" }
  | { readonly kind: "frame header" }
  | { readonly kind: "block header" }
  | { readonly kind: "block"; left: number; readonly isLast: boolean }
  | { readonly kind: "checksum" }
  | { readonly kind: "skipped"; left: number };

export class ZstdDecoder {
  readonly #hashes: XXHashAPI;
  #part: Part = { kind: "start" };
  /** Bytes of a header that has not come whole. */
  #header: Uint8Array = new Uint8Array(0);
  #frame: Decompress | undefined;
  /** Of the frame's content, if it has a checksum. */
  #hash: XXHash<bigint> | undefined;
  #output: Uint8Array[] = [];

  private constructor(hashes: XXHashAPI) {
    this.#hashes = hashes;
  }

  static async create(): Promise<ZstdDecoder> {
    return new ZstdDecoder(await xxhash());
  }

  /**
   * The content that the next bytes complete.
   *
   * @throws an Error that says what is damaged
   */
  push(chunk: Uint8Array): Uint8Array[] {
    let rest = chunk;
    while (rest.length > 0) rest = this.#step(rest);
    return this.#output.splice(0);
  }

  /** To be called after the last bytes. @throws an Error: they are not the last of a frame. */
  end(): void {
    if (this.#part.kind !== "start" || this.#header.length > 0) throw new Error("unexpected end of data");
  }

  /** Takes one part, or the beginning of it; returns what is left. */
  #step(bytes: Uint8Array): Uint8Array {
    const part = this.#part;
    if (part.kind === "block" || part.kind === "skipped") {
      const taken = bytes.subarray(0, Math.min(part.left, bytes.length));
      // The decoder keeps parts of its input.
      if (part.kind === "block") this.#frame!.push(Uint8Array.from(taken));
      part.left -= taken.length;
      if (part.left === 0) this.#part = part.kind === "skipped" ? { kind: "start" } : this.#afterBlock(part.isLast);
      return bytes.subarray(taken.length);
    }
    const before = this.#header.length;
    const header = new Uint8Array(before + Math.min(bytes.length, 18));
    header.set(this.#header);
    header.set(bytes.subarray(0, header.length - before), before);
    const size = headerSize(part.kind, header);
    if (size === undefined || header.length < size) {
      this.#header = header.slice(0, size ?? header.length);
      return bytes.subarray(this.#header.length - before);
    }
    this.#header = new Uint8Array(0);
    this.#part = this.#take(part.kind, header.subarray(0, size));
    return bytes.subarray(size - before);
  }

  #take(kind: HeaderKind, header: Uint8Array): Part {
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    if (kind === "start") {
      const magic = view.getUint32(0, true);
      if (magic === MAGIC) {
        this.#header = header.slice();
        return { kind: "frame header" };
      }
      const left = view.getUint32(4, true);
      return left === 0 ? { kind: "start" } : { kind: "skipped", left };
    }
    if (kind === "frame header") {
      this.#hash = header[4]! & 4 ? this.#hashes.create64() : undefined;
      this.#frame = new Decompress((data) => {
        if (data.length === 0) return;
        // The decoder writes over its output.
        const content = Uint8Array.from(data);
        this.#hash?.update(content);
        this.#output.push(content);
      });
      this.#frame.push(Uint8Array.from(header));
      return { kind: "block header" };
    }
    if (kind === "block header") {
      const bits = header[0]! | (header[1]! << 8) | (header[2]! << 16);
      this.#frame!.push(Uint8Array.from(header));
      const [isLast, type, size] = [(bits & 1) === 1, (bits >> 1) & 3, bits >> 3];
      // A run is one byte, repeated.
      const left = type === 1 ? 1 : size;
      return left === 0 ? this.#afterBlock(isLast) : { kind: "block", left, isLast };
    }
    this.#frame!.push(Uint8Array.from(header));
    return this.#endFrame(view.getUint32(0, true));
  }

  #afterBlock(isLast: boolean): Part {
    if (!isLast) return { kind: "block header" };
    return this.#hash ? { kind: "checksum" } : this.#endFrame();
  }

  /** @param checksum the low half of the content's XXH64 */
  #endFrame(checksum?: number): Part {
    // A frame of a few bytes only comes out at its end.
    this.#frame!.push(new Uint8Array(0), true);
    const isRight = checksum === undefined || Number(this.#hash!.digest() & 0xffffffffn) === checksum;
    if (!isRight) throw new Error("content with another checksum");
    return { kind: "start" };
  }
}

type HeaderKind = Exclude<Part["kind"], "block" | "skipped">;

/** Bytes of a header, as far as its first ones tell; undefined if they don't yet. */
function headerSize(kind: HeaderKind, bytes: Uint8Array): number | undefined {
  if (kind === "block header") return 3;
  if (kind === "checksum") return 4;
  if (bytes.length < 4) return undefined;
  const magic = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  if (kind === "start") {
    if (magic === MAGIC) return 4;
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return 8;
    throw new Error("not zstd data");
  }
  if (bytes.length < HEADER_BYTES) return undefined;
  const descriptor = bytes[4]!;
  const [sizeFlag, isSingle, dictionary] = [descriptor >> 6, (descriptor >> 5) & 1, [0, 1, 2, 4][descriptor & 3]!];
  const sizeBytes = [isSingle, 2, 4, 8][sizeFlag]!;
  return HEADER_BYTES + (isSingle ? 0 : 1) + dictionary + sizeBytes;
}
