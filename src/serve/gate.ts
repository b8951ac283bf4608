import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ApiError } from "./api-error.js";

export interface GateOptions {
  /** Keys, any of which opens the server; without any it is open. */
  readonly keys: readonly string[];
  /** Names by which the server may be called besides localhost and its addresses; undefined for any. */
  readonly hosts: ReadonlySet<string> | undefined;
  /** Origins of other pages that may call it; `*` for all. */
  readonly origins: readonly string[];
}

const digest = (key: string): Buffer => createHash("sha256").update(key).digest();

/**
 * Who may call. The names that a request may be sent to are checked against rebinding of DNS names, the page that it comes
 * from against other sites in the same browser, and keys are compared in constant time.
 */
export class Gate {
  readonly #digests: readonly Buffer[];
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#digests = options.keys.map(digest);
  }

  /** @throws {ApiError} the Host header names another server, or the Origin is another page's. */
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

  /** CORS headers for a page that may call from another origin. */
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

  /** Which key the request has; "" on an open server. @throws {ApiError} none of them. */
  keyOf({ headers: { authorization = "" } }: IncomingMessage): string {
    if (this.#digests.length === 0) return "";
    const given = digest(/^bearer (.*)$/i.exec(authorization)?.[1]?.trim() ?? "");
    // All are compared, so that the time does not reveal which key came close.
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
