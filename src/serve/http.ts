import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "./api-error.js";
import { parseJson } from "./schema.js";

/** Largest body of a request, in bytes. */
export const MOST_BODY = 4 * 2 ** 20;
/** Most bytes of unfinished bodies, of all requests together. */
const MOST_BODIES = 16 * MOST_BODY;

/** Reads bodies of requests. However many senders are slow, what they have sent so far stays within a bound. */
export class Bodies {
  #held = 0;

  /** @throws {ApiError} the body is too large, not UTF-8, or not JSON; or too many are being sent at once. */
  async readJson(request: IncomingMessage): Promise<unknown> {
    const bytes = await this.#read(request);
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new ApiError(400, "the body is not UTF-8", { code: "invalid_json" });
    }
    return parseJson(text);
  }

  async #read(request: IncomingMessage): Promise<Buffer> {
    if (Number(request.headers["content-length"] ?? 0) > MOST_BODY) throw tooLarge();
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        size += chunk.length;
        this.#held += chunk.length;
        if (size > MOST_BODY) throw tooLarge();
        if (this.#held > MOST_BODIES) {
          throw new ApiError(429, "Too many bodies are being sent at once", { code: "bodies_full", retryAfter: 1 });
        }
        chunks.push(chunk);
      }
    } finally {
      this.#held -= size;
    }
    return Buffer.concat(chunks);
  }
}

const tooLarge = (): ApiError =>
  new ApiError(413, `the body is larger than ${MOST_BODY} bytes`, { code: "body_too_large" });

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, "application/json; charset=utf-8", JSON.stringify(body));
}

export function send(response: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

export function sendError(response: ServerResponse, error: ApiError): void {
  if (error.retryAfter !== undefined) {
    response.setHeader("retry-after", String(Math.max(1, Math.ceil(error.retryAfter))));
    response.setHeader("retry-after-ms", String(Math.ceil(1000 * error.retryAfter)));
  }
  if (isLeft(response.req)) response.setHeader("connection", "close");
  sendJson(response, error.status, error.body);
}

/** Bytes of a refused body that are read to keep its connection. */
const SMALL = 2 ** 16;

/** Whether more of a body is left than is worth reading; the next request could only follow it. */
function isLeft(request: IncomingMessage): boolean {
  if (request.complete) return false;
  // Reading stopped inside the body.
  if (request.destroyed) return true;
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  return encoding !== undefined || Number(length ?? 0) > SMALL;
}

/** Server-sent events in OpenAI's form: `data` fields only, the last one [DONE]. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #stall: number;

  /** @param stall seconds after which a reader that takes nothing is disconnected */
  constructor(response: ServerResponse, stall: number) {
    this.#response = response;
    this.#stall = stall;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
  }

  /** Resolves when there is room for more. */
  async send(data: unknown, event?: string): Promise<void> {
    const name = event === undefined ? "" : `event: ${event}\n`;
    await this.#write(`${name}data: ${escapeLines(JSON.stringify(data))}\n\n`);
  }

  async end(): Promise<void> {
    await this.#write("data: [DONE]\n\n");
    this.#response.end();
  }

  async #write(text: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed || response.write(text)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => response.destroy(), 1000 * this.#stall);
      const done = (): void => {
        clearTimeout(timer);
        response.off("drain", done);
        response.off("close", done);
        resolve();
      };
      response.once("drain", done);
      response.once("close", done);
    });
  }
}

/** Unicode line separators: ordinary characters in JSON, line breaks to some line readers. */
const escapeLines = (json: string): string =>
  json.replace(/[\u2028\u2029\u0085]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
