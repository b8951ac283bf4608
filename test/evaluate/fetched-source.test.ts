import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { DownloadError, MissingDataError } from "../../src/errors.js";
import { fetchedSource } from "../../src/evaluate/data/node-sources.js";
import { PUBLISHED } from "../../src/evaluate/data/published.js";
import { firstOf, readFirst } from "../../src/evaluate/data/source.js";
import { memorySource } from "./support.js";

const CONTENT = Buffer.from('{"text": "A passage of words."}\n');
const sha256 = createHash("sha256").update(CONTENT).digest("hex");
const info = { name: "lambada", origin: "https://example.org/lambada" };

let sent = CONTENT;
let requests = 0;
const server = createServer((_, response) => {
  requests++;
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": sent.length });
  response.end(sent);
});
const cacheDir = mkdtempSync(join(tmpdir(), "gpt2-data-sets-"));
let published: typeof PUBLISHED;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  published = { "lambada/lambada_test.jsonl": { url: `http://127.0.0.1:${port}/data/lambada_test.jsonl`, sha256 } };
});
after(() => {
  server.close();
  rmSync(cacheDir, { recursive: true });
});
beforeEach(() => {
  sent = CONTENT;
  requests = 0;
});

const read = (options = {}) =>
  readFirst(fetchedSource({ published, cacheDir, ...options }), info, ["lambada_test.jsonl"]);

describe("data sets that are fetched", () => {
  it("are refused offline, and with another checksum", async () => {
    await assert.rejects(read({ offline: true }), MissingDataError);
    assert.equal(requests, 0);
    sent = Buffer.from("another file altogether\n");
    await assert.rejects(read(), (error: Error) => {
      assert.ok(error instanceof DownloadError);
      assert.equal(error.reason, "checksum");
      return true;
    });
    assert.equal(existsSync(join(cacheDir, sha256, "lambada_test.jsonl")), false);
  });

  it("are kept, checked, and fetched once", async () => {
    const events: string[] = [];
    const file = await read({ onDownload: ({ type }: { type: string }) => events.push(type) });
    assert.deepEqual(Buffer.from(file.bytes), CONTENT);
    assert.deepEqual([file.path, file.sha256], ["lambada/lambada_test.jsonl", sha256]);
    assert.ok(events.includes("file") && events.includes("done"));
    await read();
    await read({ offline: true });
    assert.equal(requests, 1);
    assert.deepEqual(
      readdirSync(join(cacheDir, sha256)).filter((name) => !name.startsWith(".")),
      ["lambada_test.jsonl"],
    );
  });

  it("are refetched if the copy is damaged", async () => {
    writeFileSync(join(cacheDir, sha256, "lambada_test.jsonl"), "damaged");
    assert.deepEqual(Buffer.from((await read()).bytes), CONTENT);
    assert.equal(requests, 1);
  });

  it("come after the user's own files", async () => {
    const own = memorySource({ "lambada/lambada_test.jsonl": "own" });
    const both = firstOf(own, fetchedSource({ published, cacheDir }));
    assert.equal(new TextDecoder().decode((await readFirst(both, info, ["lambada_test.jsonl"])).bytes), "own");
    await assert.rejects(readFirst(both, info, ["other.txt"]), /in memory, or downloads, got none of them/);
    assert.equal(requests, 0);
  });

  it("have addresses that name one version, and checksums", () => {
    for (const [path, { url, sha256 }] of Object.entries(PUBLISHED)) {
      assert.match(sha256, /^[0-9a-f]{64}$/, path);
      assert.ok(new URL(url).pathname.endsWith(`/${path.split("/").at(-1)}`), path);
      if (url.includes("githubusercontent")) assert.match(url, /\/[0-9a-f]{40}\//, path);
    }
  });
});
