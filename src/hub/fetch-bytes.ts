import { DownloadError, type DownloadFailure, OutOfMemoryError } from "../errors.js";

export interface FetchBytesOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes received, and the total if the server reports it. */
  readonly onProgress?: ((received: number, total: number | undefined) => void) | undefined;
}

/**
 * Fetches a file into memory, for browsers, which may cache it. Interrupted transfers are not resumed.
 *
 * @returns undefined if there is none (404).
 * @throws {DownloadError} the server refuses, is unreachable, breaks the connection, or responds with a page.
 * @throws {OutOfMemoryError} the file is larger than an array can be here.
 */
export async function fetchBytes(url: URL, options: FetchBytesOptions = {}): Promise<Uint8Array | undefined> {
  const { headers = {}, signal, onProgress } = options;
  const response = await fetch(url, { headers, ...(signal && { signal }) }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    const hint = "Check the network, and whether that server allows requests from this page (CORS)";
    throw failure(url, "unreachable", "no response", { hint, cause });
  });
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok)
    throw failure(url, reasonOf(response.status), `status ${response.status}`, { status: response.status });
  if (/^text\/html\b/i.test(response.headers.get("content-type") ?? "")) {
    await response.body?.cancel();
    throw failure(url, "unexpected", "an HTML page");
  }
  return readBody(url, response, onProgress, signal);
}

async function readBody(
  url: URL,
  response: Response,
  onProgress: FetchBytesOptions["onProgress"],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  // The length of a compressed response is not the file's.
  const encoded = response.headers.has("content-encoding");
  const length = encoded ? null : response.headers.get("content-length");
  const total = length === null ? undefined : Number(length);
  let bytes = allocate(url, total ?? 2 ** 16);
  let received = 0;
  try {
    for await (const piece of piecesOf(response)) {
      if (received + piece.length > bytes.length) {
        const larger = allocate(url, Math.max(2 * bytes.length, received + piece.length));
        larger.set(bytes.subarray(0, received));
        bytes = larger;
      }
      bytes.set(piece, received);
      received += piece.length;
      onProgress?.(received, total);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof OutOfMemoryError) throw cause;
    throw failure(url, "interrupted", `a connection that broke off after ${received} bytes`, { cause });
  }
  if (total !== undefined && received < total) {
    throw failure(url, "interrupted", `${received} of ${total} bytes`);
  }
  return received === bytes.length ? bytes : bytes.slice(0, received);
}

/** A response's pieces. (Safari's streams are not iterable.) */
async function* piecesOf({ body }: Response): AsyncGenerator<Uint8Array, void, void> {
  const reader = body?.getReader();
  for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read()) yield next.value;
}

function allocate(url: URL, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    const expected = "a file that fits into one array";
    const hint = "Use a smaller storage dtype: gpt2 quantize writes q8_0 and q4_0";
    throw new OutOfMemoryError({ op: `fetching ${nameOf(url)}`, expected, got: `${length} bytes`, hint, cause });
  }
}

function reasonOf(status: number): DownloadFailure {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 429) return "rate-limited";
  return status >= 500 ? "server" : "unexpected";
}

/** An error that names the address without its query, which may hold a signature. */
const nameOf = (url: URL): string => `${url.origin}${url.pathname}`;

function failure(
  url: URL,
  reason: DownloadFailure,
  got: string,
  more: { readonly hint?: string; readonly status?: number; readonly cause?: unknown } = {},
): DownloadError {
  return new DownloadError({ op: `fetching ${nameOf(url)}`, expected: "the file", got, reason, ...more });
}
