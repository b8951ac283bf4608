import { DownloadError, type DownloadFailure } from "../errors.js";
import { type HttpResponse, readText } from "./http.js";
import { retryAfterOf } from "./retry.js";

/** A request, for messages. */
export interface Asked {
  /** `openai-community/gpt2, revision main`, `model.safetensors of openai-community/gpt2`. */
  readonly what: string;
  /** Whether a token was sent. */
  readonly withToken: boolean;
}

interface Kind {
  readonly reason: DownloadFailure;
  readonly got: string;
  readonly hint: string;
}

/**
 * The error for a response that is not a success. The hub gives a more precise reason than the status in `X-Error-Code`; without
 * a token, a repository that does not exist looks like a private one (401).
 */
export async function responseError(response: HttpResponse, asked: Asked): Promise<DownloadError> {
  const { status, headers, url } = response;
  const said = shortLine(String(headers["x-error-message"] ?? "")) || (await messageIn(response));
  // An unread body would keep the connection open, and with it the process.
  response.body.destroy();
  const kind = kindOf(status, String(headers["x-error-code"] ?? ""), asked);
  const details = { op: `fetching ${asked.what} from ${url.host}`, expected: "the file", status, reason: kind.reason };
  const got = `${kind.got}${said && !kind.got.includes(said) ? ` (${said})` : ""}`;
  return new DownloadError({ ...details, got, hint: kind.hint, retryAfter: retryAfterOf(headers) });
}

function kindOf(status: number, code: string, { withToken }: Asked): Kind {
  const token = withToken ? "Use another token" : "Set HF_TOKEN to a token from huggingface.co/settings/tokens";
  if (code === "RepoNotFound") {
    const hint = `Check the name; if it is private: ${token}`;
    return { reason: status === 404 ? "not-found" : "unauthorized", got: `no such repository (${status})`, hint };
  }
  if (code === "GatedRepo") {
    const hint = `Request access on its page on the hub, then use your token. ${withToken ? "" : token}`.trim();
    return { reason: withToken ? "forbidden" : "unauthorized", got: `a gated repository (${status})`, hint };
  }
  if (code === "RevisionNotFound") {
    return {
      reason: "not-found",
      got: `no such revision (${status})`,
      hint: "Check the branch, tag or commit after @",
    };
  }
  if (code === "EntryNotFound") {
    return { reason: "not-found", got: `no such file (${status})`, hint: "Check its name in the repository" };
  }
  if (status === 401) return { reason: "unauthorized", got: "status 401 (no valid token)", hint: token };
  if (status === 403)
    return { reason: "forbidden", got: "status 403 (forbidden)", hint: `It may not be public. ${token}` };
  if (status === 404 || status === 410)
    return { reason: "not-found", got: `nothing there (${status})`, hint: "Check the name" };
  if (status === 429) {
    const hint = withToken ? "Wait a while" : "Wait a while, or set a token (HF_TOKEN), which raises the limit";
    return { reason: "rate-limited", got: "too many requests (429)", hint };
  }
  if (status === 408 || status >= 500) {
    return { reason: "server", got: `a server error (${status})`, hint: "The fault is the server's; try again later" };
  }
  return { reason: "unexpected", got: `status ${status}`, hint: "Is HF_ENDPOINT the address of a hub?" };
}

/** The `error` field of a JSON body. */
async function messageIn(response: HttpResponse): Promise<string> {
  if (!/json/.test(response.headers["content-type"] ?? "")) return "";
  try {
    const { error } = JSON.parse(await readText(response, 2 ** 16)) as { error?: unknown };
    return typeof error === "string" ? shortLine(error) : "";
  } catch {
    return "";
  }
}

/** Text from a server may contain terminal control characters. */
const shortLine = (text: string): string => text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 200);
