import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { GPT2Error } from "../errors.js";
import { typedWriteSync } from "../util/file-errors.js";

/** An append-only log. A write has reached the system when the call returns, and the disk after `sync`. */
export class AppendFile {
  readonly path: string;
  readonly #fd: number;

  /** @param flags `a` appends, `wx` makes a new file. @throws {GPT2Error} it can't be opened. */
  constructor(path: string, flags: "a" | "wx" = "a") {
    this.path = path;
    this.#fd = this.#do(() => openSync(path, flags));
  }

  /** @throws {GPT2Error} the disk is full, or fails. */
  append(data: Uint8Array | string): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.#do(() => {
      // A nearly full disk takes some of the bytes, and reports the error on the next call.
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    });
  }

  sync(): void {
    this.#do(() => fsyncSync(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #do<T>(call: () => T): T {
    return typedWriteSync(`writing ${this.path}`, GPT2Error, call);
  }
}
