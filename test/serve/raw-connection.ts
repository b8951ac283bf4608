import { connect, type Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A connection that sends any bytes as a request, and reads answers one after the other. */
export class RawConnection {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #closed = false;
  #arrived: () => void = () => {};

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (data) => {
      this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data]);
      this.#arrived();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#arrived();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(bytes);
  }

  /** Closes the sending side. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The next answer; undefined if the connection ends before it is complete. */
  async answer(): Promise<RawAnswer | undefined> {
    for (;;) {
      const parsed = parse(this.#bytes);
      if (parsed) {
        this.#bytes = this.#bytes.subarray(parsed.length);
        if (parsed.answer.status >= 200) return parsed.answer;
      } else if (this.#closed) return undefined;
      else {
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
      }
    }
  }
}

/** An answer at the start of the bytes, and its length; undefined if it is incomplete. */
function parse(bytes: Buffer): { readonly answer: RawAnswer; readonly length: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.toString("latin1", 0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1]?.trim() ?? "";
  const type = field("content-type");
  const start = end + 4;
  if (!/chunked/i.test(field("transfer-encoding"))) {
    const length = start + Number(field("content-length") || 0);
    if (bytes.length < length) return undefined;
    return { answer: { status, type, body: bytes.toString("utf8", start, length) }, length };
  }
  let body = "";
  for (let at = start; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { answer: { status, type, body }, length: next };
    body += bytes.toString("utf8", line + 2, line + 2 + size);
    at = next;
  }
}
