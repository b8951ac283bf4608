import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "./api-error.js";
import { parseJson } from "./schema.js";

/** Largest body of a request, in bytes. */
export const MOST_BODY = 4 * 2 ** 20;
/** Milliseconds for which a client may read nothing before it is disconnected. */
const STALLED = 30_000;

/** Reads a request's body as JSON. @throws {ApiError} it is too large, not UTF-8, or not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > MOST_BODY) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY) throw tooLarge();
    chunks.push(chunk);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ApiError(400, "the body is not UTF-8", { code: "invalid_json" });
  }
  return parseJson(text);
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
  // The unread rest of a body would be parsed as the next request.
  if (error.status === 413) response.setHeader("connection", "close");
  sendJson(response, error.status, error.body);
}

/** Server-sent events in OpenAI's form: `data` fields only, the last one [DONE]. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
  }

  /** Resolves when there is room for more. A client that reads nothing for too long is disconnected. */
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
      const timer = setTimeout(() => response.destroy(), STALLED);
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
