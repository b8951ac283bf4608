import { DownloadError } from "../errors.js";
import type { DownloadContext, RemoteFile } from "./download-file.js";
import { readText, sendFollowing } from "./http.js";
import { checksumOfEtag, normalizeEtag } from "./integrity.js";
import type { HubName } from "./model-name.js";
import { responseError } from "./response-error.js";
import { withRetries } from "./retry.js";

/** A model on the hub at one commit. */
export interface RepositoryState {
  readonly commit: string;
  /** Paths of all files. */
  readonly files: readonly string[];
}

/** A file of a repository; its ETag is its name in the cache. */
export interface RepositoryFile extends RemoteFile {
  readonly etag: string;
}

/**
 * Resolves a revision: `GET /api/models/<id>/revision/<revision>`.
 *
 * @param tries number of attempts after transient failures.
 * @throws {DownloadError} the hub is unreachable, has no such model or revision, or does not show it to us.
 */
export async function repositoryState(
  { id, revision }: HubName,
  context: DownloadContext,
  tries: number,
): Promise<RepositoryState> {
  const { settings, signal, onEvent } = context;
  const url = new URL(`${settings.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`);
  const what = `${id}${revision === "main" ? "" : `@${revision}`}`;
  const attempt = async (): Promise<RepositoryState> => {
    const request = { headers: authorization(context), timeout: settings.answerTimeout, signal };
    const response = await sendFollowing(url, request);
    if (response.status !== 200) throw await responseError(response, { what, withToken: settings.token !== undefined });
    return parseState(await readText(response), url, what);
  };
  return withRetries(attempt, {
    tries,
    delay: settings.retryDelay,
    signal,
    after: ["rate-limited", "server"],
    onRetry: ({ details }, seconds) => onEvent({ type: "wait", file: what, seconds, message: details.got ?? "" }),
  });
}

function parseState(json: string, url: URL, what: string): RepositoryState {
  try {
    const { sha, siblings } = JSON.parse(json) as { sha?: unknown; siblings?: readonly { rfilename?: unknown }[] };
    const files = siblings?.map(({ rfilename }) => rfilename);
    if (typeof sha === "string" && /^[0-9a-f]{40}$/.test(sha) && files?.every((name) => typeof name === "string")) {
      return { commit: sha, files };
    }
  } catch {
    // Reported below.
  }
  throw notTheHub(url, what, "a response unlike a hub's");
}

/** An ETag that can name a file in the cache. */
const ETAG = /^\w[\w.+-]{0,127}$/;

/**
 * Describes a file, by the same request as huggingface_hub: HEAD of `/<id>/resolve/<commit>/<file>`. The hub's own redirects
 * are followed; a redirect to another host leads to the storage, and itself describes the file in its headers.
 *
 * @throws {DownloadError}
 */
export async function repositoryFile(
  { id }: HubName,
  commit: string,
  file: string,
  context: DownloadContext,
): Promise<RepositoryFile> {
  const { settings, signal, onEvent } = context;
  const path = file.split("/").map(encodeURIComponent).join("/");
  const url = new URL(`${settings.endpoint}/${id}/resolve/${commit}/${path}`);
  const what = `${file} of ${id}`;
  const headers = authorization(context);
  const attempt = async (): Promise<RepositoryFile> => {
    const request = { method: "HEAD", headers, timeout: settings.answerTimeout, signal } as const;
    const response = await sendFollowing(url, request, ({ crossOrigin }) => crossOrigin);
    response.body.destroy();
    if (response.status >= 400) throw await responseError(response, { what, withToken: settings.token !== undefined });
    const linked = header(response.headers, "x-linked-etag");
    const etag = normalizeEtag(linked ?? header(response.headers, "etag") ?? "");
    if (response.headers["x-repo-commit"] === undefined || !ETAG.test(etag)) {
      throw notTheHub(url, what, "a response without a hub's headers (X-Repo-Commit, ETag)");
    }
    const redirected = response.status >= 300;
    const length =
      header(response.headers, "x-linked-size") ?? (redirected ? undefined : response.headers["content-length"]);
    if (length !== undefined && !/^\d{1,20}$/.test(length)) throw notTheHub(url, what, "a size that is not a number");
    const size = length === undefined ? undefined : Number(length);
    // The file is requested from this address, and not from the storage's, whose signature soon expires.
    return { what, name: file, url, headers, etag, checksum: checksumOfEtag(etag), size };
  };
  return withRetries(attempt, {
    tries: 5,
    delay: settings.retryDelay,
    signal,
    after: ["rate-limited", "server", "unreachable"],
    onRetry: ({ details }, seconds) => onEvent({ type: "wait", file, seconds, message: details.got ?? "" }),
  });
}

function header(headers: Readonly<Record<string, string | string[] | undefined>>, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function authorization({ settings: { token } }: DownloadContext): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

function notTheHub(url: URL, what: string, got: string): DownloadError {
  const hint = "Check that HF_ENDPOINT is the address of a hub, and that the network shows no login page";
  const expected = "the hub's description of it";
  return new DownloadError({ op: `fetching ${what} from ${url.origin}`, expected, got, hint, reason: "unexpected" });
}
