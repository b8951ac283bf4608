import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { CheckpointError, ConfigError, DownloadError, type DownloadFailure } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { assertClose } from "../helpers/compare.js";
import { deliver, type Fault } from "../helpers/faulty-http.js";
import { HubServer } from "../helpers/hub-server.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { fullForward } from "./full-forward.js";
import { byteTokenizer } from "./models.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-fetch-"));
after(() => rmSync(folder, { recursive: true }));

const CONFIG = gpt2Config({ vocabSize: 257, nCtx: 12, nEmbd: 10, nHead: 2, nLayer: 2 });
const model = () => {
  const tensors = Array.from(seededTensors(CONFIG, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  return { config: CONFIG, tensors };
};
await saveCheckpoint(join(folder, "whole"), model());
await saveTokenizer(byteTokenizer(), join(folder, "whole"));
await saveCheckpoint(join(folder, "sharded"), model(), { maxShardBytes: 6000 });
await saveCheckpoint(join(folder, "model.bin"), model(), { format: "llm.c" });
await saveCheckpoint(join(folder, "model.gguf"), { ...model(), tokenizer: byteTokenizer() });

/** Serves the folder. */
let fault: (path: string) => Fault | undefined = () => undefined;
const asked: string[] = [];
const web = createServer((request, response) => {
  const path = new URL(request.url!, "http://x").pathname;
  asked.push(request.url!);
  let reply: Parameters<typeof deliver>[0] = { status: 404, body: "none" };
  try {
    reply = { body: readFileSync(join(folder, path)) };
  } catch {
    // Not there: 404.
  }
  void deliver(reply, fault(path) ?? {}, request, response);
});
await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
after(() => {
  web.closeAllConnections();
  web.close();
});
beforeEach(() => {
  asked.length = 0;
  fault = () => undefined;
});

const backend = await referenceBackend();
const ids = [1, 2, 3];

async function check(name: string, options: object = {}): Promise<GPT2> {
  const fetched = await GPT2.fetch(name, { backend, ...options });
  assert.deepEqual(fetched.config, CONFIG);
  assertClose("logits", await fetched.logits(ids), await fullForward(CONFIG, 1, ids), { relative: 2e-6 });
  return fetched;
}

describe("fetching into memory, as in a browser", () => {
  it("takes a folder, whole or in shards, and files of each format", async () => {
    assert.equal((await check(`${origin}/whole/`)).tokenizer?.vocabSize, 257);
    assert.equal((await check(`${origin}/sharded/`)).tokenizer, undefined);
    assert.equal((await check(`${origin}/whole/model.safetensors`)).tokenizer?.vocabSize, 257);
    assert.equal((await check(`${origin}/model.gguf`)).endOfText, 256);
    await check(`${origin}/model.bin?version=2`);
    assert.ok(asked.includes("/model.bin?version=2") && asked.includes("/tokenizer.json"));
  });

  it("reads the settings of the tokenizer and of generation", async () => {
    const path = join(folder, "settings");
    const ends = { bosTokenId: 3, eosTokenIds: [4, 5] };
    await saveCheckpoint(path, { ...model(), ...ends, sampling: { temperature: 0.5 } });
    await saveTokenizer(byteTokenizer(), path);
    writeFileSync(join(path, "tokenizer_config.json"), '{"add_prefix_space":true}');
    const fetched = await check(`${origin}/settings/`);
    const loaded = await GPT2.load(path, { backend: "reference" });
    assert.deepEqual(fetched.eosTokenIds, ends.eosTokenIds);
    assert.equal(fetched.sampling.temperature, 0.5);
    assert.deepEqual([...fetched.tokenizer!.encode("a b")], [...loaded.tokenizer!.encode("a b")]);
    assert.notDeepEqual([...fetched.tokenizer!.encode("a b")], [...byteTokenizer().encode("a b")]);
  });

  it("takes an address relative to the page", async () => {
    (globalThis as { location?: unknown }).location = { href: `${origin}/whole/index.html` };
    try {
      await check("./");
      await check("/model.gguf");
      await check("../model.gguf");
    } finally {
      delete (globalThis as { location?: unknown }).location;
    }
    await assert.rejects(GPT2.fetch("./", { backend }), CheckpointError);
  });

  it("accepts a model on the hub, with a token if need be", async () => {
    const names = readdirSync(join(folder, "whole"));
    const files = Object.fromEntries(
      names.map((name) => [name, new Uint8Array(readFileSync(join(folder, "whole", name)))]),
    );
    const repository = { id: "owner/model", commit: "0123456789abcdef0123456789abcdef01234567", files, token: "hf_x" };
    const hub = await HubServer.start(repository, { ...repository, id: "openai-community/gpt2" });
    try {
      await check("owner/model@main", { endpoint: hub.endpoint, token: "hf_x" });
      await check("gpt2", { endpoint: hub.endpoint, token: "hf_x" });
      await check("owner/model/model.safetensors", { endpoint: hub.endpoint, token: "hf_x" });
      assert.ok(
        hub.requests.every(({ where, headers }) => (where === "cdn") === (headers.authorization === undefined)),
      );
      await assert.rejects(GPT2.fetch("owner/model", { backend, endpoint: hub.endpoint }), { reason: "unauthorized" });
    } finally {
      await hub.close();
    }
  });

  it("reports its progress, and stops when aborted", async () => {
    const seen: [string, number, number | undefined][] = [];
    await check(`${origin}/model.gguf`, {
      onProgress: (...args: [string, number, number | undefined]) => seen.push(args),
    });
    const size = readFileSync(join(folder, "model.gguf")).length;
    assert.deepEqual(seen.at(-1), ["model.gguf", size, size]);
    const aborted = GPT2.fetch(`${origin}/model.gguf`, { backend, signal: AbortSignal.abort() });
    await assert.rejects(aborted, { name: "AbortError" });
  });

  it("reports what went wrong", async () => {
    const page = { headers: { "Content-Type": "text/html" }, body: "<html>" };
    const faults: [Fault, DownloadFailure][] = [
      [{ hangUp: true }, "unreachable"],
      [{ cutAfter: 100 }, "interrupted"],
      [{ instead: { status: 500, body: "" } }, "server"],
      [{ instead: { status: 403, body: "" } }, "forbidden"],
      [{ instead: { status: 429, body: "" } }, "rate-limited"],
      [{ instead: page }, "unexpected"],
    ];
    for (const [wrong, reason] of faults) {
      fault = () => wrong;
      await assert.rejects(GPT2.fetch(`${origin}/model.gguf`, { backend }), (error: unknown) => {
        return error instanceof DownloadError && error.reason === reason;
      });
    }
    fault = () => undefined;
    await assert.rejects(GPT2.fetch(`${origin}/none/`, { backend }), /expected a file config\.json, got none \(404\)/);
    await assert.rejects(GPT2.fetch(`${origin}/none.gguf`, { backend }), CheckpointError);
    await assert.rejects(GPT2.fetch("no name", { backend }), /owner\/name of the hub, got "no name"/);
    fault = (path) => (path.endsWith("config.json") ? { instead: { body: '{"model_type":"t5"}' } } : undefined);
    asked.length = 0;
    await assert.rejects(GPT2.fetch(`${origin}/whole/`, { backend }), ConfigError);
    assert.deepEqual(asked, ["/whole/config.json"], "the weights are not fetched");
    fault = (path) => (path.endsWith("config.json") ? { instead: { body: '{"model_type":"gpt2"}' } } : undefined);
    await assert.rejects(GPT2.fetch(`${origin}/`, { backend }), /model\.safetensors or .* got none/);
  });
});
