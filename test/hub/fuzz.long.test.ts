/**
 * Random damage to a hub's answers. The result is the model, byte for byte by its checksums, or a typed error in one
 * line; nothing is written outside the cache, and only the model is kept under its name.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, it } from "node:test";
import { GPT2Error } from "../../src/errors.js";
import { MODEL_LAYOUT } from "../../src/pretrained/needed-files.js";
import { fuzzSeeds, Mutator, timeout } from "../checkpoint/mutator.js";
import type { Fault, Reply } from "../helpers/faulty-http.js";
import { gitBlobSha1, type HubRepository, HubServer, type SeenRequest, sha256 } from "../helpers/hub-server.js";
import { COMMIT, content, fetching, temporaryFolder, text } from "./support.js";

const WEIGHTS = content(3000);
const REPOSITORY: HubRepository = {
  id: "owner/model",
  commit: COMMIT,
  files: { "config.json": text('{"model_type":"gpt2"}'), "model.safetensors": WEIGHTS },
};
const ROUNDS = 300;

const server = await HubServer.start(REPOSITORY);
after(() => server.close());

const STATUSES = [
  200, 204, 206, 226, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 416, 418, 429, 500, 503, 599,
];
/** Values of headers; of numbers, names, addresses, dates. */
const VALUES = [
  "",
  "0",
  "-1",
  "1e9",
  "NaN",
  "3001",
  "99999999999999999999",
  '"',
  'W/""',
  "..",
  "../../evil",
  "a".repeat(5000),
  "/",
  "//",
  "http://",
  "http://[",
  "file:///etc/passwd",
  "bytes 5-/",
  "bytes */*",
  "text/html",
  "gzip",
  "\u00e9\u00ff",
  "%zz",
  "application/json",
];
const NAMES = [
  ...["ETag", "X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit", "Location", "Content-Type", "Content-Range"],
  ...["Content-Encoding", "X-Error-Code", "X-Error-Message", "RateLimit"],
];

function changedReply(mutator: Mutator, reply: Reply): Reply {
  const { body } = reply;
  const bytes = typeof body === "string" ? text(body) : body;
  const headers = { ...reply.headers };
  const kind = mutator.below(9);
  if (kind < 4) return { ...reply, headers: { ...headers, [mutator.pick(NAMES)]: mutator.pick(VALUES) } };
  if (kind === 4) return { ...reply, status: mutator.pick(STATUSES) };
  if (kind === 5) {
    const kept = Object.entries(headers).filter(() => mutator.below(3) > 0);
    return { ...reply, headers: Object.fromEntries(kept) };
  }
  if (kind === 6) return { ...reply, body: mutator.bytes(bytes, bytes.length) };
  if (kind === 7) return { ...reply, body: mutator.json(new TextDecoder().decode(bytes)) };
  return { ...reply, body: mutator.pick(["", "null", "[]", "{}", '{"sha":1}', "[".repeat(100_000), "<html></html>"]) };
}

function damage(mutator: Mutator): Fault {
  const kind = mutator.below(12);
  if (kind === 0)
    return { raw: mutator.pick(["", "HTTP/1.1 200\r\n", "HTTP/1.1 999 x\r\n\r\n", "\0".repeat(100), "x"]) };
  if (kind === 1) return { hangUp: true };
  if (kind === 2) return { ignoreRange: true, corrupt: true };
  const times = 1 + mutator.below(3);
  return {
    changed: (reply) => {
      let changed = reply;
      for (let n = 0; n < times; n++) changed = changedReply(mutator, changed);
      // Nobody waits here.
      return { ...changed, headers: { ...changed.headers, "Retry-After": "0" } };
    },
  };
}

/** Files in the cache match their names, where these are checksums: a server may give any name. */
function checkBlobs(folder: string, what: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const bytes = readFileSync(join(folder, name));
    if (/^[0-9a-f]{64}$/.test(name)) assert.equal(sha256(bytes), name, what);
    if (/^[0-9a-f]{40}$/.test(name)) assert.equal(gitBlobSha1(bytes), name, what);
  }
}

it("a hub's damaged responses give the model or a typed error", { timeout }, async () => {
  const outcomes = { read: 0, refused: 0 };
  for (const seed of fuzzSeeds(ROUNDS)) {
    const mutator = new Mutator(seed);
    const where = mutator.pick(["api", "resolve", "cdn"] as const);
    const from = where === "resolve" ? mutator.below(4) : 0;
    let seen = 0;
    server.reset();
    server.fault = (request: SeenRequest) => (request.where === where && seen++ >= from ? damage(mutator) : undefined);
    const parent = temporaryFolder();
    const one = fetching(server, {
      cacheDir: join(parent, "cache"),
      retryDelay: 0,
      answerTimeout: 400,
      dataTimeout: 200,
    });
    try {
      const { files } = await one.fetch();
      assert.ok(files.length > 0 && files.every(({ path }) => existsSync(path)));
      outcomes.read++;
    } catch (error) {
      if (!(error instanceof GPT2Error)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      assert.ok(error.message.length < 1500, `seed ${seed}: ${error.message.length} characters`);
      assert.doesNotMatch(error.message, /[\n\p{Cc}]/u, `seed ${seed}`);
      outcomes.refused++;
    }
    checkBlobs(join(one.cacheDir, "models--owner--model/blobs"), `seed ${seed}`);
    const written = existsSync(one.cacheDir) ? readdirSync(one.cacheDir) : [];
    assert.ok(
      readdirSync(parent).every((name) => name === "cache"),
      `seed ${seed}`,
    );
    assert.ok(
      written.every((name) => [".locks", "models--owner--model"].includes(name)),
      `seed ${seed}: ${written}`,
    );
  }
  assert.ok(outcomes.read > ROUNDS / 10 && outcomes.refused > ROUNDS / 10, JSON.stringify(outcomes));
});

it("a damaged index of shards names plain files or none", () => {
  const map = { "wte.weight": "model-00001-of-00002.safetensors", "wpe.weight": "model-00002-of-00002.safetensors" };
  const good = JSON.stringify({ metadata: { total_size: 5 }, weight_map: map });
  const outcomes = { read: 0, refused: 0 };
  for (const seed of fuzzSeeds(3000)) {
    const mutator = new Mutator(seed);
    const bytes = text(good);
    const damaged =
      mutator.below(2) > 0 ? mutator.json(good) : new TextDecoder().decode(mutator.bytes(bytes, bytes.length));
    const shards = MODEL_LAYOUT.shardsOf("model.safetensors.index.json", damaged);
    if (shards === undefined) outcomes.refused++;
    else outcomes.read++;
    for (const name of shards ?? []) assert.match(name, /^[\w-][\w.+ -]*\.(safetensors|bin)$/);
  }
  assert.ok(outcomes.read > 100 && outcomes.refused > 100, JSON.stringify(outcomes));
});
