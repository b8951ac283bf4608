import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { fetchUrl } from "../../src/hub/fetch-url.js";
import { MODEL_LAYOUT } from "../../src/pretrained/needed-files.js";
import { deliver, type Fault, type Reply } from "../helpers/faulty-http.js";
import { content, type Fetching, failsWith, fetching, listing, temporaryFolder, text } from "./support.js";

/** An ordinary web server: whatever lies in `replies` by path. */
const replies = new Map<string, Reply>();
const seen: { method: string; path: string; headers: IncomingMessage["headers"] }[] = [];
let fault: (path: string, method: string) => Fault | undefined = () => undefined;
const server = createServer((request, response) => {
  const { method = "", url = "", headers } = request;
  seen.push({ method, path: url, headers });
  const reply = replies.get(url) ?? { status: 404, body: "nothing here" };
  void deliver(reply, fault(url, method) ?? {}, request, response);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => {
  server.closeAllConnections();
  server.close();
});

const MODEL = content(100_000);

function publish(path: string, body: Uint8Array, etag?: string): void {
  replies.set(path, { headers: etag === undefined ? {} : { ETag: etag }, body, ranges: true });
}

beforeEach(() => {
  replies.clear();
  seen.length = 0;
  fault = () => undefined;
  publish("/models/tiny.gguf", MODEL, '"v1"');
  publish("/models/model.safetensors", MODEL, '"w1"');
  publish("/models/config.json", text("{}"), '"c1"');
  publish("/models/tokenizer.json", text('{"version":"1.0"}'), '"t1"');
});

function fetchingUrls(cacheDir = temporaryFolder(), changes: Partial<Fetching["settings"]> = {}) {
  const { settings, events } = fetching({ endpoint: "https://hub.invalid" }, { ...changes });
  const context = {
    settings,
    layout: MODEL_LAYOUT,
    onEvent: (event: (typeof events)[number]) => void events.push(event),
  };
  return { cacheDir, events, fetch: (path: string) => fetchUrl(new URL(origin + path), context, cacheDir) };
}

const gets = (): string[] => seen.filter(({ method }) => method === "GET").map(({ path }) => path);

describe("a model at an address", () => {
  it("is fetched once, and refetched when the server has another version", async () => {
    const { fetch } = fetchingUrls();
    const { path } = await fetch("/models/tiny.gguf");
    assert.equal(basename(path), "tiny.gguf");
    assert.deepEqual(new Uint8Array(readFileSync(path)), MODEL);
    assert.equal((await fetch("/models/tiny.gguf")).files[0]!.fetched, false);
    assert.deepEqual(gets(), ["/models/tiny.gguf"]);
    publish("/models/tiny.gguf", content(100_000, 2), '"v2"');
    assert.deepEqual(new Uint8Array(readFileSync((await fetch("/models/tiny.gguf")).path)), content(100_000, 2));
  });

  it("from a server without ETags is compared by its date, and without a date fetched each time", async () => {
    const { fetch } = fetchingUrls();
    const file = (seed: number, headers: Record<string, string>) =>
      replies.set("/models/tiny.gguf", { headers, body: content(1000, seed), ranges: true });
    const fetched = async () => (await fetch("/models/tiny.gguf")).files[0]!.fetched;
    file(1, { "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT" });
    assert.deepEqual([await fetched(), await fetched()], [true, false]);
    file(2, { "Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT" });
    assert.equal(await fetched(), true);
    assert.deepEqual(new Uint8Array(readFileSync((await fetch("/models/tiny.gguf")).path)), content(1000, 2));
    file(3, {});
    assert.deepEqual([await fetched(), await fetched()], [true, true]);
  });

  it("is fetched with the config.json and tokenizer beside it, if they exist", async () => {
    const { fetch, cacheDir } = fetchingUrls();
    const { path, files } = await fetch("/models/model.safetensors");
    assert.deepEqual(
      files.map(({ name }) => name),
      ["config.json", "tokenizer.json", "model.safetensors"],
    );
    const names = listing(dirname(path)).filter((name) => !name.startsWith("."));
    assert.deepEqual(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert.ok(path.startsWith(join(cacheDir, "127.0.0.1-")));
    replies.delete("/models/config.json");
    await assert.rejects(fetchingUrls().fetch("/models/model.safetensors"), failsWith("not-found", /config\.json/));
  });

  it("may be an adapter", async () => {
    for (const name of ["adapter_model.safetensors", "adapter_config.json", "template.json"]) {
      publish(`/runs/${name}`, text("{}"), `"${name}"`);
    }
    const { files } = await fetchingUrls().fetch("/runs/adapter_model.safetensors");
    assert.deepEqual(
      files.map(({ name }) => name),
      ["adapter_config.json", "template.json", "adapter_model.safetensors"],
    );
    replies.delete("/runs/adapter_config.json");
    const missing = fetchingUrls().fetch("/runs/adapter_model.safetensors");
    await assert.rejects(missing, failsWith("not-found", /adapter_config\.json/));
  });

  it("may have an index, and then shards", async () => {
    const index = { weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } };
    publish("/models/model.safetensors.index.json", text(JSON.stringify(index)));
    publish("/models/model-1.safetensors", content(10));
    publish("/models/model-2.safetensors", content(20));
    const { files, path } = await fetchingUrls().fetch("/models/model.safetensors.index.json");
    assert.equal(files.length, 5);
    assert.equal(basename(path), "model.safetensors.index.json");
    publish("/models/model.safetensors.index.json", text("{}"));
    await assert.rejects(
      fetchingUrls().fetch("/models/model.safetensors.index.json"),
      failsWith("unexpected", /index of shards/),
    );
  });

  it("is resumed after an interruption, as long as the server has the same version", async () => {
    const { fetch, cacheDir } = fetchingUrls();
    let first = true;
    fault = (_, method) => {
      if (method !== "GET") return undefined;
      const cut = first;
      first = false;
      return cut ? { cutAfter: 70_000 } : { instead: { status: 500, body: "" } };
    };
    await assert.rejects(fetch("/models/tiny.gguf"), failsWith("server"));
    const incomplete = () => listing(cacheDir).filter((name) => name.endsWith(".incomplete"));
    assert.equal(incomplete().length, 1);
    fault = () => undefined;
    seen.length = 0;
    const { path } = await fetch("/models/tiny.gguf");
    assert.deepEqual(new Uint8Array(readFileSync(path)), MODEL);
    const { range, "if-range": ifRange } = seen.find(({ method }) => method === "GET")!.headers;
    assert.deepEqual([range, ifRange], ["bytes=70000-", '"v1"']);
    assert.deepEqual(incomplete(), []);
  });

  it("without a version mark is never assembled from two responses", async () => {
    publish("/models/tiny.gguf", MODEL);
    const { fetch, cacheDir } = fetchingUrls();
    let count = 0;
    fault = (_, method) => (method === "GET" && count++ === 0 ? { cutAfter: 50_000 } : undefined);
    await fetch("/models/tiny.gguf");
    assert.ok(seen.every(({ headers }) => headers.range === undefined));
    assert.deepEqual(new Uint8Array(readFileSync((await fetch("/models/tiny.gguf")).path)), MODEL);
    assert.equal(gets().length, 3, "and is fetched each time");
    assert.deepEqual(
      listing(cacheDir).filter((name) => name.endsWith(".incomplete")),
      [],
    );
  });

  it("on a server that refuses HEAD is fetched with GET alone", async () => {
    fault = (_, method) => (method === "HEAD" ? { instead: { status: 405, body: "" } } : undefined);
    assert.deepEqual(new Uint8Array(readFileSync((await fetchingUrls().fetch("/models/tiny.gguf")).path)), MODEL);
  });

  it("is refused if it is a page, or has no file name", async () => {
    const page = { headers: { "Content-Type": "text/html" }, body: "<html>" };
    replies.set("/models/page.gguf", page);
    await assert.rejects(fetchingUrls().fetch("/models/page.gguf"), failsWith("unexpected", /an HTML page/));
    for (const path of ["/models/", "/models/%zz.gguf", "/models/%2e%2e", `/models/${"a".repeat(300)}.gguf`]) {
      await assert.rejects(fetchingUrls().fetch(path), failsWith("unexpected", /the address of a file/));
    }
    await assert.rejects(fetchingUrls().fetch("/models/none.gguf"), failsWith("not-found", /nothing there \(404\)/));
    // If a server answers with a page for missing files, optional files count as missing.
    replies.set("/models/vocab.json", page);
    assert.equal((await fetchingUrls().fetch("/models/model.safetensors")).files.length, 3);
  });

  it("is available without a network, or when the server is gone", async () => {
    const { fetch, cacheDir } = fetchingUrls();
    const { path } = await fetch("/models/model.safetensors");
    seen.length = 0;
    const offline = fetchingUrls(cacheDir, { offline: true });
    assert.equal((await offline.fetch("/models/model.safetensors")).path, path);
    await assert.rejects(offline.fetch("/models/tiny.gguf"), failsWith("offline", /an earlier copy/));
    assert.deepEqual(seen, []);
    fault = () => ({ instead: { status: 503, body: "" } });
    const later = fetchingUrls(cacheDir);
    assert.equal((await later.fetch("/models/model.safetensors")).path, path);
    assert.ok(later.events.some((event) => event.type === "notice" && /a server error \(503\)/.test(event.message)));
  });

  it("never receives the hub's token", async () => {
    await fetchingUrls(undefined, { token: "hf_secret" }).fetch("/models/tiny.gguf");
    assert.ok(seen.every(({ headers }) => headers.authorization === undefined));
    await fetchingUrls(undefined, { token: "hf_secret", endpoint: origin }).fetch("/models/tiny.gguf");
    assert.equal(seen.at(-1)!.headers.authorization, "Bearer hf_secret");
  });

  it("with a signature in its query is shown without it", async () => {
    await assert.rejects(fetchingUrls().fetch("/models/none.gguf?sig=s3cret"), (error: Error) => {
      return failsWith("not-found")(error) && !error.message.includes("s3cret");
    });
  });
});
