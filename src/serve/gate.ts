import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ApiError } from "./api-error.js";

export interface GateOptions {
  /** Accepted API keys. Without any, no key is required. */
  readonly keys: readonly string[];
  /** Accepted Host names besides localhost and the server's addresses; undefined accepts any. */
  readonly hosts: ReadonlySet<string> | undefined;
  /** Origins of other pages that may call the server; `*` for all. */
  readonly origins: readonly string[];
}

const digest = (key: string): Buffer => createHash("sha256").update(key).digest();

/**
 * Access control. Checking the Host header prevents DNS rebinding, checking the Origin keeps other sites in the same
 * browser out, and keys are compared in constant time.
 */
export class Gate {
  readonly #digests: readonly Buffer[];
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#digests = options.keys.map(digest);
  }

  /** @throws {ApiError} the Host header names another server, or the Origin belongs to another page. */
  checkSource({ headers }: IncomingMessage): void {
    const { hosts, origins } = this.#options;
    const host = hostName(headers.host ?? "");
    if (hosts && !hosts.has(host)) {
      throw new ApiError(403, "The Host header names another server; --allow-host adds a name", {
        code: "host_not_allowed",
      });
    }
    const { origin } = headers;
    if (origin === undefined || origins.includes("*") || origins.includes(origin)) return;
    if (origin === `http://${headers.host}` || origin === `https://${headers.host}`) return;
    throw new ApiError(403, "Pages of other origins may not call; --allow-origin adds one", {
      code: "origin_not_allowed",
    });
  }

  /** CORS headers for a page of another origin that may call. */
  corsHeaders({ headers: { origin } }: IncomingMessage): Record<string, string> {
    const { origins } = this.#options;
    if (origin === undefined || !(origins.includes("*") || origins.includes(origin))) return {};
    return {
      "access-control-allow-origin": origin,
      "access-control-allow-headers": "authorization, content-type, x-request-id",
      "access-control-allow-methods": "GET, POST, OPTIONS",
      vary: "origin",
    };
  }

  /** The name of the request's key; "" on a server without keys. @throws {ApiError} the key is missing or wrong. */
  keyOf({ headers: { authorization = "" } }: IncomingMessage): string {
    if (this.#digests.length === 0) return "";
    const given = digest(/^bearer (.*)$/i.exec(authorization)?.[1]?.trim() ?? "");
    // Comparing all of them keeps the time from revealing which key came close.
    let found = -1;
    for (const [i, key] of this.#digests.entries()) if (timingSafeEqual(key, given)) found = i;
    if (found >= 0) return `key ${found}`;
    throw new ApiError(401, "Incorrect API key provided", { code: "invalid_api_key" });
  }
}

/** The name of `name:port`, lower case; of an IPv6 address with its brackets. */
export function hostName(host: string): string {
  const match = /^(\[[0-9a-f:.]+\]|[^:]*)(?::\d{1,5})?$/i.exec(host.trim());
  return match ? match[1]!.toLowerCase() : "";
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

export const isLoopback = (host: string): boolean => LOOPBACK.has(host) || host === "::1";

/** The names that requests to a server on this address may use. */
export function allowedHosts(host: string, others: readonly string[]): Set<string> {
  return new Set([...LOOPBACK, hostName(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host), ...others]);
}
