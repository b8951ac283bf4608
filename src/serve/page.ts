import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { packageFile } from "../util/package-root.js";
import { send } from "./http.js";

/** The page may load nothing, and call this server alone. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

let page: Buffer | undefined;

/** GET /. */
export function sendPage(response: ServerResponse): void {
  page ??= readFileSync(packageFile("assets/serve.html"));
  response.setHeader("content-security-policy", POLICY);
  send(response, 200, "text/html; charset=utf-8", page);
}
