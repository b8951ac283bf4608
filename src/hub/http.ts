import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { DownloadError } from "../errors.js";
import { proxyFor, tunnelAgent } from "./proxy.js";

/**
 * Requests with Node's own client, because `fetch` in Node 20 does not support proxies. Bodies are unprocessed: no compression
 * is requested, so that a file's length and ranges refer to its own bytes.
 */
export interface HttpRequest {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds without any data: until the response, and between pieces of the body. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end, or destroyed. */
  readonly body: IncomingMessage;
}

const USER_AGENT = `gpt2-ts; node/${process.versions.node}`;
const MAX_REDIRECTS = 10;

/**
 * Sends one request; a redirect is returned as a response.
 *
 * @throws {DownloadError} `unreachable`: no response. An abort throws the signal's reason.
 */
export function send(url: URL, { method = "GET", headers, timeout, signal }: HttpRequest): Promise<HttpResponse> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const sent = { "User-Agent": USER_AGENT, "Accept-Encoding": "identity", ...headers };
    const request = open(url, { method, headers: sent, timeout, ...(signal && { signal }) });
    const timedOut = (): unknown => request.destroy(new Error(`no data for ${timeout / 1000} seconds`));
    request.once("timeout", timedOut);
    request.once("error", (error) => reject(signal?.aborted ? signal.reason : unreachable(url, error)));
    request.once("response", (body) => resolve({ url, status: body.statusCode!, headers: body.headers, body }));
    request.end();
  });
}

function open(url: URL, options: RequestOptions) {
  const route = proxyFor(url);
  if (url.protocol === "https:") {
    return httpsRequest(url, route ? { ...options, agent: tunnelAgent(route, options.timeout!) } : options);
  }
  if (route === undefined) return httpRequest(url, options);
  const { hostname, port } = route.proxy;
  const headers = { Host: url.host, ...options.headers, ...route.headers };
  return httpRequest({ ...options, host: hostname, port: port || 80, path: url.href, headers });
}

/** A redirect's target, and whether it has another origin. */
export interface Redirect {
  readonly target: URL;
  readonly crossOrigin: boolean;
}

/** @throws {DownloadError} `unexpected`: a redirect to an address that is not http, or from https to http. */
export function redirectOf({ url, status, headers: { location } }: HttpResponse): Redirect | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  const target = URL.canParse(location, url) ? new URL(location, url) : undefined;
  const safe = target?.protocol === "https:" || (target?.protocol === "http:" && url.protocol === "http:");
  if (target && safe) return { target, crossOrigin: target.origin !== url.origin };
  const got = `a redirect to ${location.slice(0, 200)}`;
  throw new DownloadError({
    op: `asking ${addressOf(url)}`,
    expected: "a response",
    got,
    reason: "unexpected",
    status,
  });
}

/**
 * Sends a request and follows its redirects. `Authorization` goes to the first address's origin only.
 *
 * @param stopAt returns true for a redirect that is itself the response.
 */
export async function sendFollowing(
  url: URL,
  request: HttpRequest,
  stopAt: (redirect: Redirect) => boolean = () => false,
): Promise<HttpResponse> {
  let at = url;
  let current = request;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await send(at, current);
    const redirect = redirectOf(response);
    if (redirect === undefined || stopAt(redirect)) return response;
    response.body.destroy();
    at = redirect.target;
    if (redirect.crossOrigin) current = { ...request, headers: withoutAuthorization(current.headers) };
  }
  const got = `more than ${MAX_REDIRECTS} redirects`;
  throw new DownloadError({ op: `asking ${addressOf(url)}`, expected: "a response", got, reason: "unexpected" });
}

/** An address for messages: shortened, and without its query, which may hold a signature. */
const addressOf = ({ origin, pathname }: URL): string => (origin + pathname).slice(0, 200);

function withoutAuthorization(headers: HttpRequest["headers"] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOTFOUND: "no such host, or no network",
  EAI_AGAIN: "no response from the name server: no network?",
  ECONNREFUSED: "a refused connection",
  ECONNRESET: "a connection closed by the server",
  EPIPE: "a connection closed by the server",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no network",
  DEPTH_ZERO_SELF_SIGNED_CERT: "a self-signed certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "a self-signed certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "a certificate from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "a certificate from an unknown authority",
  CERT_HAS_EXPIRED: "an expired certificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "a certificate for another host",
};

function unreachable(url: URL, cause: NodeJS.ErrnoException & { errors?: readonly Error[] }): DownloadError {
  const { code = "", message } = (cause.errors?.[0] as NodeJS.ErrnoException | undefined) ?? cause;
  const got = CAUSES[code] ?? message;
  const hint = got.includes("certificate")
    ? "If your network's own authority signed it, set NODE_EXTRA_CA_CERTS to that authority's file"
    : "Cached models can be used without a network: --offline, HF_HUB_OFFLINE=1";
  return new DownloadError({
    op: `reaching ${url.origin}`,
    expected: "a response",
    got,
    hint,
    reason: "unreachable",
    cause,
  });
}

/** The text of a body that should be small. */
export async function readText({ url, body, headers }: HttpResponse, limit = 2 ** 24): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > limit) {
        const got = `more than ${limit} bytes of ${(headers["content-type"] ?? "something").slice(0, 60)}`;
        throw new DownloadError({
          op: `asking ${addressOf(url)}`,
          expected: "a short response",
          got,
          reason: "unexpected",
        });
      }
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof DownloadError ? error : unreachable(url, error as NodeJS.ErrnoException);
  } finally {
    body.destroy();
  }
  return Buffer.concat(pieces).toString("utf8");
}
