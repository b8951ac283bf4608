import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { packageFile, packageRoot } from "../../../src/util/package-root.js";

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

/** The headers that make a page cross-origin isolated, so that it may share memory with workers. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves the package's files from disk, each page with or without the headers of isolation. */
export class Site {
  readonly #server: Server;
  readonly #onResult: (result: unknown) => string;
  /** Whether pages are now served as isolated. */
  isolated = false;

  /** `onResult` receives a page's post and returns the next address. */
  static async open(onResult: (result: unknown) => string): Promise<Site> {
    const site = new Site(onResult);
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    return site;
  }

  private constructor(onResult: (result: unknown) => string) {
    this.#onResult = onResult;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  /** Address of a page that runs the compiled page.ts. */
  page(query: Readonly<Record<string, string>>): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/page.html?${new URLSearchParams(query)}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url!, "http://localhost");
    if (request.method === "POST") {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => response.end(this.#onResult(JSON.parse(body))));
      return;
    }
    const headers = { "Content-Type": TYPES[extname(pathname)] ?? "text/plain", ...(this.isolated && ISOLATION) };
    if (pathname === "/page.html") {
      const script = `/${relative(packageRoot(), fileURLToPath(new URL("page.js", import.meta.url)))}`;
      response.writeHead(200, headers).end(`<!doctype html><script type="module" src="${script}"></script>`);
      return;
    }
    const file = createReadStream(packageFile(decodeURIComponent(pathname).replaceAll("..", "")));
    file.on("open", () => response.writeHead(200, headers));
    file.on("error", () => response.writeHead(404, headers).end());
    file.pipe(response);
  }
}
