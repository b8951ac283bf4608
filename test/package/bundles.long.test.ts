/** Bundles by esbuild, rollup, webpack and Vite, for browsers and for Node, find the model, the kernels and the workers. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { GPT2 } from "../../src/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { findBrowser } from "../helpers/find-browser.js";
import { visitPage } from "../helpers/visit-page.js";
import { BUNDLE, installPackage, run, skipWithout } from "./project.js";

const BUNDLERS = ["esbuild", "rollup", "webpack", "vite"];
const PROMPT = "It was a dark night, and";

const PAGE = `
import { GPT2 } from "gpt2-ts";
import { wasmBackend } from "gpt2-ts/backend";
import { TokenDataset } from "gpt2-ts/data";
import { gpt2Tokenizer } from "gpt2-ts/tokenizer";

const query = new URLSearchParams(location.search);
const result = {};
try {
  const backend = await wasmBackend();
  const model = await GPT2.fetch(query.get("model"), { backend });
  result.backend = backend.description;
  result.text = (await model.complete(${JSON.stringify(PROMPT)}, { maxNewTokens: 8, temperature: 0 })).text;
  result.ids = [...(await gpt2Tokenizer()).encode("Hello world")];
  result.load = await GPT2.load().catch(({ message }) => message);
  result.open = await TokenDataset.open("x").catch(({ message }) => message);
  await model.dispose();
} catch (error) {
  result.error = String(error?.stack ?? error);
}
await fetch(query.get("result"), { method: "POST", mode: "no-cors", body: JSON.stringify(result) });
`;

const PROGRAM = `
import { GPT2 } from "gpt2-ts";
import { prepareData } from "gpt2-ts/data";

async function main() {
  const model = await GPT2.load();
  const { text } = await model.complete(${JSON.stringify(PROMPT)}, { maxNewTokens: 8, temperature: 0 });
  // On worker threads.
  const { train } = await prepareData(["book.txt"], { out: "data", tokenizer: model.tokenizer, workers: 2 });
  console.log(JSON.stringify({ backend: model.backend.name, text, fallback: model.fallback?.message, train }));
  await model.dispose();
}
main();
`;

const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".html": "text/html" };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
/** Allows pages of other origins. */
const SHARED = { "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin" };

interface PageResult {
  readonly backend?: string;
  readonly text?: string;
  readonly ids?: readonly number[];
  readonly load?: string;
  readonly open?: string;
  readonly error?: string;
}

/** Serves built pages below /, the default model below /model/, and takes what pages post. */
class PageServer {
  readonly #server: Server;
  #done: (result: PageResult) => void = () => {};

  private constructor(readonly root: string) {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async open(root: string): Promise<PageServer> {
    const server = new PageServer(root);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** The posts of the page at `url`. */
  visit(browser: string, url: string): Promise<PageResult> {
    const done = new Promise<PageResult>((resolve) => (this.#done = resolve));
    const query = new URLSearchParams({ model: `${this.origin}/model/`, result: `${this.origin}/result` });
    return visitPage(browser, `${url}?${query}`, done);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url!, this.origin);
    if (request.method === "POST") {
      this.#done(JSON.parse(await text(request)));
      response.writeHead(200, SHARED).end();
      return;
    }
    const inModel = pathname.startsWith("/model/");
    const file = inModel ? packageFile(`models/default/${pathname.slice(7)}`) : join(this.root, pathname);
    if (pathname.includes("..") || !existsSync(file)) {
      response.writeHead(404, SHARED).end();
      return;
    }
    const headers = { ...SHARED, ...ISOLATION, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" };
    response.writeHead(200, headers).end(readFileSync(file));
  }
}

const html = (script: string): string => `<!doctype html><script type="module" src="${script}"></script>`;

const dir = mkdtempSync(join(tmpdir(), "gpt2-bundles-"));
const project = join(dir, "project");
after(() => rmSync(dir, { recursive: true }));

let expected: string;
before(async () => {
  mkdirSync(project);
  await installPackage(project, { native: existsSync(packageFile("native/build")) });
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  writeFileSync(join(project, "page.js"), PAGE);
  writeFileSync(join(project, "program.js"), PROGRAM);
  writeFileSync(join(project, "index.html"), html("/page.js"));
  cpSync(packageFile("test/fixtures/text/looking-glass.txt"), join(project, "book.txt"));
  const model = await GPT2.load();
  expected = (await model.complete(PROMPT, { maxNewTokens: 8, temperature: 0 })).text;
  await model.dispose();
});

async function bundle(bundler: string, program: string, target: string, format: string): Promise<string> {
  const out = join(project, "built", `${bundler}-${target}-${format}`);
  const args = [BUNDLE, bundler, join(project, program), target, format, out];
  const { status, stderr, stdout } = await run(process.execPath, args, project);
  assert.equal(status, 0, stdout + stderr);
  return out;
}

function check(result: PageResult): void {
  assert.equal(result.error, undefined);
  assert.match(result.backend!, /^wasm \(.*thread/);
  assert.equal(result.text, expected);
  assert.deepEqual(result.ids, [15496, 995]);
  assert.match(result.load!, /^GPT2\.load: expected Node.*GPT2\.fetch\("/);
  assert.match(result.open!, /^TokenDataset\.open: expected Node.*TokenDataset\.from/);
}

const browser = findBrowser();

describe("bundles for browsers", () => {
  for (const bundler of BUNDLERS) {
    it(`by ${bundler}`, { skip: bundler !== "esbuild" && skipWithout(bundler) }, async (test) => {
      const out = await bundle(bundler, "page.js", "browser", "esm");
      assert.ok(existsSync(join(out, "page.js")));
      for (const file of readdirSync(out, { recursive: true, encoding: "utf8" })) {
        if (file.endsWith(".js")) assert.doesNotMatch(readFileSync(join(out, file), "utf8"), /from ?"node:/, file);
      }
      if (browser === undefined) return test.diagnostic("no Chromium: the page is not shown");
      writeFileSync(join(out, "index.html"), html("./page.js"));
      const server = await PageServer.open(out);
      try {
        check(await server.visit(browser, `${server.origin}/index.html`));
      } finally {
        server.close();
      }
    });
  }

  const skip = skipWithout("vite") || (browser === undefined && "no Chromium");
  it("Vite's development server", { skip }, async () => {
    const args = [BUNDLE, "vite-dev", join(project, "page.js"), "browser", "esm", project];
    const vite: ChildProcess = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    const server = await PageServer.open(project);
    try {
      const [line] = (await once(vite.stdout!.setEncoding("utf8"), "data")) as [string];
      check(await server.visit(browser!, `${line.trim()}index.html`));
    } finally {
      server.close();
      vite.stdin!.end();
      await once(vite, "exit");
    }
  });
});

describe("bundles for Node", () => {
  for (const bundler of BUNDLERS) {
    for (const format of ["esm", "cjs"]) {
      it(`by ${bundler}, ${format}`, { skip: bundler !== "esbuild" && skipWithout(bundler) }, async () => {
        const out = await bundle(bundler, "program.js", "node", format);
        const [file] = readdirSync(out).filter((name) => /^program\.[cm]?js$/.test(name));
        // Both formats find the package's files in the same way.
        for (const backend of format === "esm" ? ["auto", "wasm"] : ["auto"]) {
          rmSync(join(project, "data"), { recursive: true, force: true });
          const ran = await run(process.execPath, [join(out, file!)], project, { GPT2_BACKEND: backend });
          assert.equal(ran.status, 0, ran.stderr);
          const result = JSON.parse(ran.stdout);
          assert.equal(result.text, expected);
          assert.equal(result.fallback, undefined);
          assert.equal(result.backend, backend === "wasm" ? "wasm" : result.backend);
          assert.notEqual(result.backend, "reference");
        }
        if (format === "esm" || bundler === "esbuild")
          await deployed(join(out, file!), join(dir, `${bundler}-${format}`));
      });
    }
  }
});

/** On a machine without the project the bundle runs beside node_modules; without them it says what to copy. */
async function deployed(file: string, folder: string): Promise<void> {
  cpSync(dirname(file), folder, { recursive: true });
  cpSync(join(project, "book.txt"), join(folder, "book.txt"));
  const away = join(dir, "away");
  renameSync(project, away);
  try {
    const lost = await run(process.execPath, [basename(file)], folder);
    assert.equal(lost.status, 1, lost.stderr.slice(-2000));
    // Node first prints the source line, which is long in a bundle.
    assert.match(lost.stderr.slice(-4000), /looking for the files of gpt2-ts .*copy node_modules\/gpt2-ts/);
    symlinkSync(join(away, "node_modules"), join(folder, "node_modules"));
    const found = await run(process.execPath, [basename(file)], folder);
    assert.equal(found.status, 0, found.stderr);
    assert.equal(JSON.parse(found.stdout).text, expected);
  } finally {
    renameSync(away, project);
  }
}
