import { setTimeout as sleep } from "node:timers/promises";
import { DownloadError, type DownloadFailure } from "../errors.js";

export interface RetryOptions {
  /** Maximum number of attempts. */
  readonly tries: number;
  /** Milliseconds before the second attempt; doubled before each further one. */
  readonly delay: number;
  readonly signal?: AbortSignal | undefined;
  /** Failures that are retried. */
  readonly after: readonly DownloadFailure[];
  /** Called before each wait. */
  readonly onRetry?: ((error: DownloadError, seconds: number) => void) | undefined;
}

/** If the server asks for a longer wait, the error is thrown at once. */
const LONGEST_WAIT = 300;
const LONGEST_DELAY = 8000;

/**
 * Retries after transient failures, waiting as long as the server asks, else with exponential backoff.
 *
 * @param attempt called with a function that restarts the count, to be called after progress
 */
export async function withRetries<T>(
  attempt: (progressed: () => void) => Promise<T>,
  { tries, delay, signal, after, onRetry }: RetryOptions,
): Promise<T> {
  let failures = 0;
  const progressed = (): void => {
    failures = 0;
  };
  while (true) {
    try {
      return await attempt(progressed);
    } catch (error) {
      if (!(error instanceof DownloadError) || !after.includes(error.reason)) throw error;
      const wait = error.retryAfter ?? Math.min(delay * 2 ** failures, LONGEST_DELAY) / 1000;
      failures++;
      if (failures >= tries || wait > LONGEST_WAIT) throw error;
      onRetry?.(error, wait);
      await sleep(1000 * wait, undefined, signal && { signal });
    }
  }
}

/**
 * Seconds until the next request: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or the hub's
 * `RateLimit: "api";r=0;t=55` (draft-ietf-httpapi-ratelimit-headers).
 */
export function retryAfterOf(headers: Readonly<Record<string, string | string[] | undefined>>): number | undefined {
  const [, reset] = /;\s*r=0\s*;\s*t=(\d+)/.exec(String(headers.ratelimit ?? "")) ?? [];
  if (reset !== undefined) return Number(reset) + 1;
  const value = String(headers["retry-after"] ?? "").trim();
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
