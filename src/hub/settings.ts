import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../errors.js";

/**
 * The environment variables of Python's huggingface_hub (its `constants.py`), with the same meaning, so that both programs
 * share one cache, one token and one endpoint.
 */
export interface HubSettings {
  /** Without a trailing slash. */
  readonly endpoint: string;
  /** The folder that holds the `models--owner--name` folders. */
  readonly cacheDir: string;
  readonly token: string | undefined;
  /** Use the cache only. */
  readonly offline: boolean;
  /** Milliseconds to wait for a response about a model, and for the next bytes of a file. */
  readonly answerTimeout: number;
  readonly dataTimeout: number;
  /** Milliseconds before the second attempt; doubled each time. */
  readonly retryDelay: number;
}

/** Options that override the environment. */
export interface HubOptions {
  /** Default HF_ENDPOINT, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Default HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string | undefined;
  /** Default HF_TOKEN, else the file HF_TOKEN_PATH, else $HF_HOME/token. False: none. Sent to the endpoint only. */
  readonly token?: string | false | undefined;
  /** Use only what is in the cache. Default HF_HUB_OFFLINE. */
  readonly offline?: boolean | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ENDPOINT = "https://huggingface.co";
const ANSWER_SECONDS = 10;
const DATA_SECONDS = 30;
const RETRY_DELAY = 1000;

/** @throws {UsageError} the endpoint is not an http address, or the token has characters that no header may hold. */
export function hubSettings(options: HubOptions = {}, env: Environment = process.env): HubSettings {
  return {
    endpoint: endpointOf(options.endpoint ?? (env.HF_ENDPOINT || ENDPOINT)),
    cacheDir: options.cacheDir ?? defaultCacheDir(env),
    token: tokenOf(options, env),
    offline: options.offline ?? (isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE)),
    answerTimeout: 1000 * (Number(env.HF_HUB_ETAG_TIMEOUT) || ANSWER_SECONDS),
    dataTimeout: 1000 * (Number(env.HF_HUB_DOWNLOAD_TIMEOUT) || DATA_SECONDS),
    retryDelay: RETRY_DELAY,
  };
}

/** The cache of files fetched by URL, which do not fit into the hub's cache. */
export function urlCacheDir(env: Environment = process.env): string {
  return join(expandUser(env.XDG_CACHE_HOME || "~/.cache"), "gpt2-ts", "urls");
}

function defaultCacheDir(env: Environment): string {
  return expandUser(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), "hub"));
}

function hubHome(env: Environment): string {
  return expandUser(env.HF_HOME || join(env.XDG_CACHE_HOME || "~/.cache", "huggingface"));
}

function expandUser(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homeFolder(), path.slice(1)) : path;
}

function homeFolder(): string {
  try {
    return homedir();
  } catch (cause) {
    const hint = "Set HOME; or HF_HOME, and XDG_CACHE_HOME for other downloads";
    throw new UsageError({
      op: "finding the cache",
      expected: "a home folder",
      got: "neither HOME nor a user entry",
      hint,
      cause,
    });
  }
}

/** Truth as in huggingface_hub. */
function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes(value?.toUpperCase() ?? "");
}

function endpointOf(text: string): string {
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  throw new UsageError({ op: "HF_ENDPOINT", expected: "an http or https address", got: text });
}

function tokenOf({ token }: HubOptions, env: Environment): string | undefined {
  if (token === false) return undefined;
  const implicit = isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : storedToken(env);
  const value = (token ?? implicit)?.replace(/[\r\n]/g, "").trim();
  if (!value) return undefined;
  // The token itself appears in no message: messages end up in logs.
  if (!/^[\x21-\x7e]+$/.test(value)) throw new UsageError({ op: "HF_TOKEN", expected: "a token", got: "other text" });
  return value;
}

function storedToken(env: Environment): string | undefined {
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (given) return given;
  try {
    return readFileSync(expandUser(env.HF_TOKEN_PATH || join(hubHome(env), "token")), "utf8");
  } catch {
    return undefined;
  }
}
