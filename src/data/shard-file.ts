/** Token shards as files: a streaming writer, and a reader by position. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.js";
import { writeAt } from "../util/atomic-write.js";
import { readError } from "../util/file-errors.js";
import {
  littleEndian,
  readShardHeader,
  SHARD_HEADER_BYTES,
  SHARD_MAX_TOKENS,
  shardHeader,
  tokensToBytes,
} from "./shard.js";

/** Tokens buffered for each write: 2 MiB. */
const BUFFER_TOKENS = 2 ** 20;

/**
 * Streams one shard into a folder that is being written atomically. The file lacks its header, and so is not a shard, until
 * {@link finish} knows the count.
 */
export class ShardWriter {
  readonly path: string;
  /** Number of tokens so far. */
  count = 0;
  readonly #file: FileHandle;
  readonly #buffer = new Uint16Array(BUFFER_TOKENS);
  #buffered = 0;
  #written = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async create(path: string): Promise<ShardWriter> {
    const file = await open(path, "wx");
    return new ShardWriter(path, file);
  }

  async write(tokens: Uint16Array): Promise<void> {
    if (this.count + tokens.length > SHARD_MAX_TOKENS) {
      throw new DataError({
        op: `writing ${this.path}`,
        expected: `at most ${SHARD_MAX_TOKENS} tokens in one shard`,
        got: String(this.count + tokens.length),
      });
    }
    this.count += tokens.length;
    for (let done = 0; done < tokens.length; ) {
      const n = Math.min(tokens.length - done, BUFFER_TOKENS - this.#buffered);
      this.#buffer.set(tokens.subarray(done, done + n), this.#buffered);
      this.#buffered += n;
      done += n;
      if (this.#buffered === BUFFER_TOKENS) await this.#flush();
    }
  }

  /** Completes and closes the file. */
  async finish(): Promise<void> {
    await this.#flush();
    await writeAt(this.#file, shardHeader(this.count), 0);
    await this.close();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = tokensToBytes(this.#buffer.subarray(0, this.#buffered));
    await writeAt(this.#file, bytes, SHARD_HEADER_BYTES + 2 * this.#written);
    this.#written += this.#buffered;
    this.#buffered = 0;
  }
}

export interface ShardInfo {
  readonly path: string;
  readonly tokens: number;
}

/** Writes one stream of tokens as `DIR/NAME-00000.bin`, `DIR/NAME-00001.bin`, … of `shardTokens` tokens each. */
export class ShardSeriesWriter {
  readonly #dir: string;
  readonly #name: string;
  readonly #shardTokens: number;
  readonly shards: ShardInfo[] = [];
  #current: ShardWriter | undefined;

  constructor(dir: string, name: string, shardTokens: number) {
    this.#dir = dir;
    this.#name = name;
    this.#shardTokens = shardTokens;
  }

  async write(tokens: Uint16Array): Promise<void> {
    for (let done = 0; done < tokens.length; ) {
      this.#current ??= await ShardWriter.create(join(this.#dir, shardName(this.#name, this.shards.length)));
      const n = Math.min(tokens.length - done, this.#shardTokens - this.#current.count);
      await this.#current.write(tokens.subarray(done, done + n));
      done += n;
      if (this.#current.count === this.#shardTokens) await this.finish();
    }
  }

  /** Completes the shard being written. */
  async finish(): Promise<void> {
    const writer = this.#current;
    if (writer === undefined) return;
    await writer.finish();
    this.#current = undefined;
    this.shards.push({ path: writer.path, tokens: writer.count });
  }

  /** Closes the incomplete shard. */
  async close(): Promise<void> {
    await this.#current?.close().catch(() => undefined);
    this.#current = undefined;
  }
}

export function shardName(name: string, index: number): string {
  return `${name}-${String(index).padStart(5, "0")}.bin`;
}

/** A shard open for reading by position. The operating system's page cache is the only cache. */
export class ShardFile {
  readonly path: string;
  /** Tokens in the shard. */
  readonly length: number;
  #fd: number;

  /** @throws {DataError} the file is missing, or not a whole shard */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, "r");
    } catch (cause) {
      throw readError(cause, `opening token shard ${path}`, "a readable file", DataError);
    }
    try {
      const header = new Uint8Array(SHARD_HEADER_BYTES);
      const got = readSync(this.#fd, header, 0, SHARD_HEADER_BYTES, 0);
      this.length = readShardHeader(header.subarray(0, got), fstatSync(this.#fd).size, path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Fills `out` with the tokens from position `start` on. */
  read(start: number, out: Uint16Array): void {
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    for (let done = 0; done < bytes.length; ) {
      const n = readSync(this.#fd, bytes, done, bytes.length - done, SHARD_HEADER_BYTES + 2 * start + done);
      if (n === 0) {
        throw new DataError({
          op: `reading token shard ${this.path}`,
          expected: `${this.length} tokens`,
          got: `the end of the file at token ${start + Math.floor(done / 2)}`,
          hint: "The file was truncated while it was in use",
        });
      }
      done += n;
    }
    if (!littleEndian) swapBytes(bytes);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function swapBytes(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += 2) [bytes[i], bytes[i + 1]] = [bytes[i + 1]!, bytes[i]!];
}
