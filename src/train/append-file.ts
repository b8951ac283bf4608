import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { GPT2Error } from "../errors.js";

/** A log that grows at its end; every write is with the system when the call returns, and on disk after `sync`. */
export class AppendFile {
  readonly path: string;
  readonly #fd: number;

  /** @param flags `a` to go on with what is there, `wx` for a new file. @throws {GPT2Error} it can't be opened. */
  constructor(path: string, flags: "a" | "wx" = "a") {
    this.path = path;
    this.#fd = this.#do(() => openSync(path, flags));
  }

  /** @throws {GPT2Error} the disk is full, or fails. */
  append(data: Uint8Array | string): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.#do(() => {
      // A nearly full disk takes a part and says so only when asked for the rest.
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
    try {
      return call();
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const got = code === "ENOSPC" || code === "EDQUOT" ? "a full disk" : message;
      throw new GPT2Error({ op: `writing ${this.path}`, expected: "to write there", got, cause });
    }
  }
}
