/** Replies over HTTP that go wrong on request: broken connections, wrong bytes, ranges refused. */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
  /** Whether parts of it may be requested with Range. */
  readonly ranges?: boolean;
}

/** A fault of a reply. */
export interface Fault {
  /** Another reply instead. */
  readonly instead?: Reply;
  /** The reply with changes. */
  readonly changed?: (reply: Reply) => Reply;
  /** Bytes that are no HTTP. */
  readonly raw?: string;
  /** The connection breaks after this many bytes of the body. */
  readonly cutAfter?: number;
  /** This many bytes, then nothing; the connection stays open. */
  readonly stallAfter?: number;
  /** One bit in the middle of the body is wrong. */
  readonly corrupt?: boolean;
  /** Range is ignored: 200 with the whole body. */
  readonly ignoreRange?: boolean;
  /** The connection is closed before any answer. */
  readonly hangUp?: boolean;
  /** Milliseconds to wait after every 4 KiB, so that two downloads overlap. */
  readonly slow?: number;
}

export async function deliver(
  reply: Reply,
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (fault.hangUp) {
    request.socket.destroy();
    return;
  }
  if (fault.raw !== undefined) {
    request.socket.end(fault.raw, "latin1");
    return;
  }
  const { status, headers, body } = ranged(
    fault.instead ?? fault.changed?.(reply) ?? reply,
    fault.ignoreRange ? undefined : request.headers.range,
  );
  response.writeHead(status, { ...headers, "Content-Length": body.length });
  if (request.method === "HEAD") response.end();
  else await sendBody(body, fault, request, response);
}

/** The reply, or the part of it that the request asks for (RFC 9110, section 14). */
function ranged(
  { status = 200, headers = {}, body, ranges = false }: Reply,
  range: string | undefined,
): { status: number; headers: Readonly<Record<string, string>>; body: Uint8Array } {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  if (!ranges) return { status, headers, body: bytes };
  const [, from] = /^bytes=(\d+)-/.exec(range ?? "") ?? [];
  if (from === undefined) return { status, headers: { ...headers, "Accept-Ranges": "bytes" }, body: bytes };
  const { length } = bytes;
  if (Number(from) >= length) {
    return { status: 416, headers: { "Content-Range": `bytes */${length}` }, body: new Uint8Array(0) };
  }
  const contentRange = `bytes ${from}-${length - 1}/${length}`;
  return { status: 206, headers: { ...headers, "Content-Range": contentRange }, body: bytes.subarray(Number(from)) };
}

async function sendBody(
  body: Uint8Array,
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const bytes = fault.corrupt ? flipBit(body) : body;
  const end = Math.min(fault.cutAfter ?? fault.stallAfter ?? bytes.length, bytes.length);
  const step = fault.slow ? 4096 : Math.max(1, end);
  for (let at = 0; at < end && !request.socket.destroyed; at += step) {
    await new Promise<void>((sent) => response.write(bytes.subarray(at, Math.min(at + step, end)), () => sent()));
    if (fault.slow) await new Promise((resolve) => setTimeout(resolve, fault.slow));
  }
  if (fault.cutAfter !== undefined) {
    // A client that has not read everything yet loses the rest with the connection.
    await new Promise((resolve) => setTimeout(resolve, 300));
    request.socket.destroySoon();
  } else if (fault.stallAfter === undefined) response.end();
}

function flipBit(body: Uint8Array): Uint8Array {
  const wrong = body.slice();
  wrong[wrong.length >> 1]! ^= 1;
  return wrong;
}
