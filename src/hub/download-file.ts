import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { DownloadError, type DownloadErrorDetails, GPT2Error } from "../errors.js";
import { formatBytes } from "../util/progress.js";
import type { DownloadEvent } from "./events.js";
import { type HttpResponse, sendFollowing } from "./http.js";
import type { Checksum } from "./integrity.js";
import { PartialFile } from "./partial-file.js";
import { responseError } from "./response-error.js";
import { withRetries } from "./retry.js";
import type { HubSettings } from "./settings.js";

/** A file on a server, as its headers describe it. */
export interface RemoteFile {
  /** The file in messages: `model.safetensors of openai-community/gpt2`. */
  readonly what: string;
  /** The file's name, for progress. */
  readonly name: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes. */
  readonly size?: number | undefined;
  readonly checksum?: Checksum | undefined;
  /** An ETag that changes with the content (RFC 9110, section 8.8.1): a range of another version is then refused. */
  readonly validator?: string | undefined;
}

export interface DownloadContext {
  readonly settings: HubSettings;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent: (event: DownloadEvent) => void;
}

/** Attempts before giving up; the count restarts after an attempt that received at least PROGRESS bytes. */
const TRIES = 5;
const PROGRESS = 2 ** 16;

/**
 * Downloads a file to `target`, which afterwards is complete and verified, or absent. An earlier attempt is resumed.
 *
 * @param target.stem names the partial file; must differ for different content.
 * @param target.exclusive whether no other process can be fetching the same file.
 * @throws {DownloadError} with any reason except `offline`. Received bytes are kept for the next attempt, except after
 *   `checksum`, `unexpected` and `disk-full`.
 */
export async function downloadFile(
  remote: RemoteFile,
  target: { readonly path: string; readonly stem: string; readonly exclusive: boolean },
  context: DownloadContext,
): Promise<void> {
  const { path, stem, exclusive } = target;
  const partial = await fileSystem(path, () => PartialFile.open(dirname(path), stem, exclusive));
  try {
    const resumed = partial.size > 0;
    if (remote.size !== undefined && partial.size > remote.size) await partial.restart();
    await checkSpace(path, remote, partial.size);
    context.onEvent({ type: "file", file: remote.name, size: remote.size, resumedFrom: partial.size });
    await fetchAll(remote, partial, context);
    if (!(await isRight(remote, partial))) {
      // The resumed part may have been wrong, or another program may have written it in another order.
      if (!resumed) throw wrongChecksum(remote);
      await partial.restart();
      await fetchAll(remote, partial, context);
      if (!(await isRight(remote, partial))) throw wrongChecksum(remote);
    }
    await fileSystem(path, () => partial.finish(path));
  } catch (error) {
    const useless = error instanceof DownloadError && ["checksum", "unexpected", "disk-full"].includes(error.reason);
    await (useless || !canResume(remote) ? partial.remove() : partial.keep()).catch(() => undefined);
    throw error;
  }
  context.onEvent({ type: "done", file: remote.name, size: partial.size });
}

async function fetchAll(remote: RemoteFile, partial: PartialFile, context: DownloadContext): Promise<void> {
  const { settings, signal, onEvent } = context;
  let most = partial.size;
  const attempt = async (progressed: () => void): Promise<void> => {
    try {
      await fetchRest(remote, partial, context);
    } catch (error) {
      // Bytes from an earlier attempt are not progress: a server without ranges could repeat them forever.
      if (partial.size >= most + PROGRESS) progressed();
      most = Math.max(most, partial.size);
      throw error;
    }
  };
  await withRetries(attempt, {
    tries: TRIES,
    delay: settings.retryDelay,
    signal,
    after: ["interrupted", "unreachable", "server", "rate-limited"],
    onRetry: (error, seconds) => {
      onEvent({ type: "wait", file: remote.name, seconds, message: error.details.got ?? error.message });
    },
  });
}

/** Requests all that is missing, once. */
async function fetchRest(remote: RemoteFile, partial: PartialFile, context: DownloadContext): Promise<void> {
  if (partial.size === remote.size) return;
  if (!canResume(remote) && partial.size > 0) await partial.restart();
  const { settings, signal } = context;
  const response = await sendFollowing(remote.url, {
    headers: { ...remote.headers, ...rangeHeaders(remote, partial.size) },
    timeout: settings.dataTimeout,
    signal,
  });
  try {
    if (response.status === 416) {
      // The content has become shorter or changed: what we have is not part of it.
      await partial.restart();
      throw fault(remote, "interrupted", "a range of the file", "status 416 (range not satisfiable)");
    }
    if (response.status !== 200 && response.status !== 206) {
      throw await responseError(response, { what: remote.what, withToken: "Authorization" in remote.headers });
    }
    checkIsFile(remote, response, partial.size);
    if (response.status === 200 && partial.size > 0) await partial.restart();
    await receive(remote, response, partial, context);
  } finally {
    response.body.destroy();
  }
}

/** Whether two responses are known to be parts of the same content. */
function canResume({ checksum, validator }: RemoteFile): boolean {
  return checksum !== undefined || validator !== undefined;
}

function rangeHeaders({ validator }: RemoteFile, from: number): Record<string, string> {
  if (from === 0) return {};
  return { Range: `bytes=${from}-`, ...(validator !== undefined && { "If-Range": validator }) };
}

/** @throws {DownloadError} `unexpected`: a page instead of the file, or a file of a different size or range. */
function checkIsFile(remote: RemoteFile, { status, headers, url }: HttpResponse, from: number): void {
  const type = headers["content-type"] ?? "";
  if (/^text\/html\b/i.test(type) && !/\.html?$/.test(remote.name)) {
    const hint = "It may be a login page, a proxy's message, or a page about the file. Open the address in a browser";
    throw fault(remote, "unexpected", "the file", `an HTML page, from ${url.origin}`, hint);
  }
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity")
    throw fault(remote, "unexpected", "an uncompressed transfer", `content-encoding ${encoding.slice(0, 40)}`);
  const range = headers["content-range"] ?? "none";
  if (status === 206 && !range.startsWith(`bytes ${from}-`)) {
    throw fault(remote, "unexpected", `the file's bytes from ${from} on`, `the range ${range.slice(0, 60)}`);
  }
  if (remote.size === undefined || headers["content-length"] === undefined) return;
  const size = (status === 206 ? from : 0) + Number(headers["content-length"]);
  if (size !== remote.size) throw fault(remote, "unexpected", `${remote.size} bytes`, `${size}, from ${url.origin}`);
}

async function receive(
  remote: RemoteFile,
  { body, headers }: HttpResponse,
  partial: PartialFile,
  { signal, onEvent }: DownloadContext,
): Promise<void> {
  const end = remote.size ?? (headers["content-length"] && partial.size + Number(headers["content-length"]));
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      await fileSystem(remote.what, () => partial.append(piece));
      onEvent({ type: "bytes", file: remote.name, received: partial.size });
      if (remote.size !== undefined && partial.size > remote.size) {
        throw fault(remote, "unexpected", `${remote.size} bytes`, "more");
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GPT2Error) throw error;
    throw brokenOff(remote, partial.size, error);
  }
  if (end !== undefined && end !== "" && partial.size < end) throw brokenOff(remote, partial.size);
}

function brokenOff(remote: RemoteFile, size: number, cause?: unknown): DownloadError {
  const total = remote.size === undefined ? "" : ` of ${formatBytes(remote.size)}`;
  const hint = "The received part is kept; run the same command to resume";
  const got = `a connection that broke off after ${formatBytes(size)}${total}`;
  return fault(remote, "interrupted", "the whole file", got, hint, cause);
}

async function isRight({ checksum }: RemoteFile, partial: PartialFile): Promise<boolean> {
  return checksum === undefined || (await partial.hash(checksum)) === checksum.hex;
}

function wrongChecksum(remote: RemoteFile): DownloadError {
  const { kind, hex } = remote.checksum!;
  const expected = `content with the ${kind === "sha256" ? "SHA-256" : "git SHA-1"} ${hex.slice(0, 16)}…`;
  const hint = "It was damaged in transit, and has been removed. Try again";
  return fault(remote, "checksum", expected, "different content", hint);
}

/** @throws {DownloadError} `disk-full`, before anything is fetched. */
async function checkSpace(path: string, remote: RemoteFile, there: number): Promise<void> {
  if (remote.size === undefined) return;
  const missing = remote.size - there;
  const stats = await statfs(dirname(path)).catch(() => undefined);
  if (stats === undefined) return;
  const free = stats.bavail * stats.bsize;
  if (missing <= free) return;
  const hint = "Free some space, or set HF_HOME to a folder on a larger disk";
  throw fault(remote, "disk-full", `${formatBytes(missing)} free in ${dirname(path)}`, formatBytes(free), hint);
}

function fault(
  remote: RemoteFile,
  reason: DownloadErrorDetails["reason"],
  expected: string,
  got: string,
  hint?: string,
  cause?: unknown,
): DownloadError {
  return new DownloadError({ op: `fetching ${remote.what}`, expected, got, ...(hint && { hint }), cause, reason });
}

const FILE_SYSTEM: Readonly<Record<string, readonly [got: string, reason: DownloadErrorDetails["reason"]]>> = {
  ENOSPC: ["a full disk", "disk-full"],
  EDQUOT: ["an exhausted disk quota", "disk-full"],
  EFBIG: ["a file larger than is allowed here (ulimit -f)", "disk-full"],
  EACCES: ["no permission to write there", "not-writable"],
  EPERM: ["no permission to write there", "not-writable"],
  EROFS: ["a read-only file system", "not-writable"],
  ENOENT: ["a file that another program has moved away", "interrupted"],
  ENOTDIR: ["a path that runs through a file", "not-writable"],
};

/**
 * Turns a file system error into a DownloadError.
 *
 * @param what is being written, for the message.
 */
export async function fileSystem<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const [got, reason] = FILE_SYSTEM[(cause as NodeJS.ErrnoException).code ?? ""] ?? [];
    if (got === undefined || reason === undefined) throw cause;
    const hint = "Set HF_HOME to the folder in which models are to be kept";
    throw new DownloadError({ op: `writing ${what}`, expected: "to write it", got, hint, reason, cause });
  }
}
