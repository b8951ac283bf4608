/**
 * wllama, llama.cpp compiled to WebAssembly, as a contender (bench/protocol.ts): it needs a browser, so Chromium runs it
 * (wllama-page.ts) in a page that may share memory between threads. Ends together with the browser, whose processes are
 * in this one's group.
 */
import { spawn } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BROWSER_FLAGS, findBrowser } from "../../test/helpers/find-browser.js";
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve, threadCount } from "../worker.js";
import { peerFolder, peerVersion } from "./import-peer.js";
import type { PageAnswer } from "./wllama-page.js";

const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".wasm": "application/wasm" };

/** Lets the page share memory with workers. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The browser's page: it asks for a task, answers it, and asks for the next. */
class Page {
  readonly #setup: Setup;
  readonly #server: Server;
  /** The page's request for a task, while there is none. */
  #asking: ServerResponse | undefined;
  #task: GenerateTask | undefined;
  #resolve!: (answer: unknown) => void;
  #reject!: (error: Error) => void;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  /** Starts the browser, and returns the page's message after it has loaded the model. */
  async ready(): Promise<unknown> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    const profile = mkdtempSync(join(tmpdir(), "gpt2-bench-browser-"));
    process.once("exit", () => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
    const url = `http://127.0.0.1:${port}/?threads=${this.#setup.threads}&context=${this.#setup.config.nCtx}`;
    const browser = spawn(findBrowser()!, [...BROWSER_FLAGS, `--user-data-dir=${profile}`, url], { stdio: "ignore" });
    browser.on("exit", () => this.#reject(new Error("Error: the browser ended")));
    return this.#answer();
  }

  async ask(task: GenerateTask): Promise<GenerateResult> {
    this.#task = task;
    this.#hand();
    return (await this.#answer()) as GenerateResult;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #hand(): void {
    if (!this.#asking || !this.#task) return;
    this.#asking.end(JSON.stringify(this.#task));
    this.#asking = this.#task = undefined;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url!, "http://localhost");
    for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    if (request.method === "POST") {
      this.#receive(request, response);
    } else if (pathname === "/task") {
      this.#asking = response;
      this.#hand();
    } else if (pathname === "/") {
      response.setHeader("Content-Type", "text/html");
      response.end('<!doctype html><script type="module" src="/page.js"></script>');
    } else {
      this.#send(pathname, response);
    }
  }

  #send(pathname: string, response: ServerResponse): void {
    const files: Readonly<Record<string, string>> = {
      "/page.js": fileURLToPath(new URL("wllama-page.js", import.meta.url)),
      "/model.gguf": this.#setup.file!,
    };
    const path = files[pathname] ?? join(peerFolder("@wllama/wllama"), "esm", pathname.replaceAll("..", ""));
    const file = createReadStream(path);
    file.on("open", () => {
      response.setHeader("Content-Type", TYPES[extname(path)] ?? "application/octet-stream");
      response.setHeader("Content-Length", statSync(path).size);
    });
    file.on("error", () => response.writeHead(404).end());
    file.pipe(response);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      response.end();
      const { error, value } = JSON.parse(body) as PageAnswer;
      if (error !== undefined) this.#reject(new Error(`Error: ${error}`));
      else this.#resolve(value);
    });
  }
}

await serve(async (setup) => {
  const page = new Page(setup);
  const { browser, threads } = (await page.ready()) as { browser: string; threads: number };
  const description = `${peerVersion("@wllama/wllama")} in ${browser}, ${threadCount(threads)}`;
  return { description, generate: (task) => page.ask(task) };
});
