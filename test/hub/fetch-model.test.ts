import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { ConfigError } from "../../src/errors.js";
import { gitBlobSha1, HubServer, sha256 } from "../helpers/hub-server.js";
import {
  COMMIT,
  content,
  failsWith,
  fetching,
  fileOf,
  LATER_COMMIT,
  listing,
  NEEDED,
  REPOSITORY,
  text,
  WEIGHTS,
} from "./support.js";

const server = await HubServer.start(REPOSITORY);
after(() => server.close());
beforeEach(() => server.reset());

describe("a model on the hub", () => {
  it("goes into the cache in huggingface_hub's layout, with only the files needed", async () => {
    const { cacheDir, fetch } = fetching(server);
    const model = await fetch();
    const repository = join(cacheDir, "models--owner--model");
    assert.equal(model.path, join(repository, "snapshots", COMMIT));
    assert.equal(model.commit, COMMIT);
    assert.deepEqual(model.files.map(({ name }) => name).sort(), NEEDED);
    for (const name of NEEDED) assert.deepEqual(fileOf(model, name), REPOSITORY.files[name], name);
    const etag = (name: string) => (name.endsWith("tensors") ? sha256 : gitBlobSha1)(REPOSITORY.files[name]!);
    const links = NEEDED.map((name) => `snapshots/${COMMIT}/${name} -> ../../blobs/${etag(name)}`);
    // vocab.json and generation_config.json have the same content, and so the same blob.
    const blobs = [...new Set(NEEDED.map((name) => `blobs/${etag(name)}`))];
    assert.deepEqual(listing(repository), [...blobs, "refs/main", ...links].sort());
    assert.equal(readFileSync(join(repository, "refs/main"), "utf8"), COMMIT);
    assert.ok(existsSync(join(cacheDir, ".locks/models--owner--model", `${sha256(WEIGHTS)}.lock`)));
  });

  it("takes one request when it is cached, and is not refetched", async () => {
    const { fetch } = fetching(server);
    const first = await fetch();
    // vocab.json and generation_config.json are the same bytes, which come once.
    assert.deepEqual(
      first.files.filter(({ fetched }) => !fetched).map(({ name }) => name),
      ["generation_config.json"],
    );
    server.reset();
    const second = await fetch();
    assert.deepEqual(
      server.requests.map(({ url }) => url),
      ["/api/models/owner/model/revision/main"],
    );
    assert.equal(second.path, first.path);
    assert.ok(second.files.every(({ fetched }) => !fetched));
  });

  it("is refetched when the hub has another version, and shares unchanged files", async () => {
    const { cacheDir, fetch } = fetching(server);
    await fetch();
    const changed = text('{"model_type":"gpt2","n_layer":1}');
    server.publish({ ...REPOSITORY, commit: LATER_COMMIT, files: { ...REPOSITORY.files, "config.json": changed } });
    try {
      server.reset();
      const later = await fetch();
      assert.deepEqual(fileOf(later, "config.json"), changed);
      assert.equal(server.count("cdn"), 0, "the weights did not change");
      assert.equal(readFileSync(join(cacheDir, "models--owner--model/refs/main"), "utf8"), LATER_COMMIT);
      assert.ok(existsSync(join(cacheDir, "models--owner--model/snapshots", COMMIT, "config.json")));
    } finally {
      server.publish(REPOSITORY);
    }
  });

  it("has revisions; a commit needs no network once it is cached", async () => {
    const { cacheDir, fetch } = fetching(server);
    await fetch("owner/model@v1.0");
    await fetch("owner/model@refs/pr/1");
    for (const ref of ["v1.0", "refs/pr/1"]) {
      assert.equal(readFileSync(join(cacheDir, "models--owner--model/refs", ref), "utf8"), COMMIT);
    }
    assert.ok(server.requests.some(({ url }) => url === "/api/models/owner/model/revision/refs%2Fpr%2F1"));
    server.reset();
    assert.equal((await fetch(`owner/model@${COMMIT}`)).commit, COMMIT);
    assert.deepEqual(server.requests, []);
    await assert.rejects(fetch("owner/model@v9"), failsWith("not-found", /owner\/model@v9/, /no such revision/));
  });

  it("may have shards: those that its index names", async () => {
    const map = { "wte.weight": "model-00001-of-00002.safetensors", "wpe.weight": "model-00002-of-00002.safetensors" };
    const files = {
      "config.json": text("{}"),
      "model.safetensors.index.json": text(JSON.stringify({ weight_map: map })),
      "model-00001-of-00002.safetensors": content(500),
      "model-00002-of-00002.safetensors": content(600),
      "model-00003-of-00003.safetensors": content(700),
    };
    server.publish({ id: "owner/sharded", commit: COMMIT, files });
    const { fetch, settings } = fetching(server);
    const model = await fetch("owner/sharded");
    assert.deepEqual(
      model.files.map(({ name }) => name),
      Object.keys(files).slice(0, 4),
    );
    const offline = fetching(server, { ...settings, offline: true });
    assert.equal((await offline.fetch("owner/sharded")).files.length, 4);
    rmSync(join(model.path, "model-00002-of-00002.safetensors"));
    await assert.rejects(offline.fetch("owner/sharded"), failsWith("offline"));
    const evil = { ...map, "wpe.weight": "../../../evil.safetensors" };
    const index = text(JSON.stringify({ weight_map: evil }));
    server.publish({
      id: "owner/sharded",
      commit: LATER_COMMIT,
      files: { ...files, "model.safetensors.index.json": index },
    });
    await assert.rejects(fetch("owner/sharded"), failsWith("not-found", /names no shards/));
  });

  it("may be in PyTorch's format, a GGUF, one file of several, or in a folder", async () => {
    const files = {
      "a/config.json": text("{}"),
      "a/model.safetensors": content(10),
      "b.gguf": content(20),
      "c.gguf": content(30),
    };
    server.publish({ id: "owner/several", commit: COMMIT, files });
    const { fetch } = fetching(server);
    await assert.rejects(
      fetch("owner/several"),
      failsWith("not-found", /several models: b\.gguf, c\.gguf/, /owner\/several\/FILE/),
    );
    const gguf = await fetch("owner/several/b.gguf");
    assert.match(gguf.path, /snapshots\/0123.*\/b\.gguf$/);
    assert.deepEqual(new Uint8Array(readFileSync(gguf.path)), files["b.gguf"]);
    const nested = await fetch("owner/several/a/model.safetensors");
    assert.ok(existsSync(join(dirname(nested.path), "config.json")));
    await assert.rejects(fetch("owner/several/d.gguf"), failsWith("not-found", /no file d\.gguf/));
    server.publish({
      id: "owner/torch",
      commit: COMMIT,
      files: { "config.json": text("{}"), "pytorch_model.bin": content(5) },
    });
    assert.deepEqual(
      (await fetch("owner/torch")).files.map(({ name }) => name),
      ["config.json", "pytorch_model.bin"],
    );
    server.publish({ id: "owner/dataset", commit: COMMIT, files: { "README.md": text("x") } });
    await assert.rejects(fetch("owner/dataset"), failsWith("not-found", /no weights .* among README\.md/));
  });

  it("may be an adapter, at the top or in a folder, with the files that gpt2 finetune wrote beside it", async () => {
    const names = ["adapter_config.json", "classifier.json", "template.json", "adapter_model.safetensors"];
    const places = names.flatMap((name) => [name, `checkpoint-7/${name}`]);
    const files = Object.fromEntries(places.map((name) => [name, content(20)]));
    server.publish({ id: "owner/adapter", commit: COMMIT, files: { ...files, "optimizer.pt": content(20) } });
    const { fetch } = fetching(server);
    const fetched = async (name: string) => (await fetch(name)).files.map((file) => file.name);
    assert.deepEqual(await fetched("owner/adapter"), names);
    const nested = await fetched("owner/adapter/checkpoint-7/adapter_model.safetensors");
    assert.deepEqual(
      nested,
      names.map((name) => `checkpoint-7/${name}`),
    );
  });

  it("is refused before its weights are fetched if it is unusable", async () => {
    const { fetch, cacheDir } = fetching(server);
    const checkConfig = (path: string): void => {
      throw new ConfigError({ op: `reading ${path}`, got: "a BERT" });
    };
    await assert.rejects(fetch("owner/model", { checkConfig }), ConfigError);
    assert.equal(server.count("cdn"), 0);
    assert.ok(!existsSync(join(cacheDir, "models--owner--model/refs/main")), "half a model is no revision's");
  });

  it("can be renamed", async () => {
    server.publish({ ...REPOSITORY, id: "owner/renamed", formerly: ["old/name"] });
    const { fetch, cacheDir } = fetching(server);
    assert.equal((await fetch("old/name")).path, join(cacheDir, "models--old--name/snapshots", COMMIT));
  });

  it("with file names that lead out of the cache is refused", async () => {
    const files = { "config.json": text("{}"), "../../../evil.gguf": content(5) };
    server.publish({ id: "owner/evil", commit: COMMIT, files });
    await assert.rejects(fetching(server).fetch("owner/evil"), failsWith("not-found"));
  });
});

describe("without a network", () => {
  it("the cache is used, and missing models are named", async () => {
    const online = fetching(server);
    const { path } = await online.fetch();
    server.reset();
    const offline = fetching(server, { ...online.settings, offline: true });
    assert.equal((await offline.fetch()).path, path);
    await assert.rejects(
      offline.fetch("owner/other"),
      failsWith("offline", /loading owner\/other without a network/, /models--owner--other/, /gpt2 pull/),
    );
    await assert.rejects(offline.fetch("owner/model@v1.0"), failsWith("offline"));
    rmSync(join(path, "model.safetensors"));
    await assert.rejects(offline.fetch(), failsWith("offline", /the whole model/));
    assert.deepEqual(server.requests, []);
  });

  it("an unexpected failure falls back to the cache, with a notice", async () => {
    const lost = await HubServer.start(REPOSITORY);
    const { fetch, events } = fetching(lost);
    const { path } = await fetch();
    for (const instead of [
      { status: 503, body: "" },
      { status: 429, body: "" },
    ]) {
      lost.fault = () => ({ instead });
      assert.equal((await fetch()).path, path);
    }
    await lost.close();
    assert.equal((await fetch()).path, path);
    const notices = events.flatMap((event) => (event.type === "notice" ? [event.message] : []));
    assert.equal(notices.length, 3);
    assert.match(notices[2]!, /using the cached copy, because of a refused connection/);
    await assert.rejects(fetch("owner/other"), failsWith("unreachable", /a refused connection/, /--offline/));
  });
});

describe("names under which Python caches models", () => {
  it("are found if they hold the hub's version or there is no network", async () => {
    server.publish({ ...REPOSITORY, id: "openai-community/gpt2", formerly: ["gpt2"] });
    const { fetch, cacheDir, settings } = fetching(server);
    const legacy = join(cacheDir, "models--gpt2");
    for (const name of NEEDED) {
      const path = join(legacy, "snapshots", COMMIT, name);
      mkdirSync(dirname(path), { recursive: true });
      mkdirSync(join(legacy, "blobs"), { recursive: true });
      writeFileSync(join(legacy, "blobs", name), REPOSITORY.files[name]!);
      symlinkSync(`../../blobs/${name}`, path);
    }
    mkdirSync(join(legacy, "refs"));
    writeFileSync(join(legacy, "refs/main"), COMMIT);
    const there = join(legacy, "snapshots", COMMIT);
    assert.equal((await fetch("gpt2")).path, there);
    assert.equal((await fetch("openai-community/gpt2")).path, there);
    assert.equal((await fetching(server, { ...settings, offline: true }).fetch("gpt2")).path, there);
    assert.equal(server.count("cdn"), 0);
    server.publish({ ...REPOSITORY, id: "openai-community/gpt2", commit: LATER_COMMIT });
    assert.match((await fetch("gpt2")).path, /models--openai-community--gpt2\/snapshots\/89ab/);
  });
});

describe("access", () => {
  it("sends its token to the hub and to nobody else", async () => {
    server.publish({ ...REPOSITORY, id: "owner/private", token: "hf_secret" });
    const { fetch } = fetching(server, { token: "hf_secret" });
    await fetch("owner/private");
    const seen = (where: string) =>
      server.requests.filter((r) => r.where === where).map((r) => r.headers.authorization);
    assert.deepEqual([...new Set([...seen("api"), ...seen("resolve")])], ["Bearer hf_secret"]);
    assert.deepEqual([...new Set(seen("cdn"))], [undefined]);
  });

  it("without a token, or with a wrong one, gives an error that says so", async () => {
    server.publish({ ...REPOSITORY, id: "owner/private", token: "hf_secret" });
    const nobody = fetching(server);
    await assert.rejects(
      nobody.fetch("owner/private"),
      failsWith("unauthorized", /no such repository \(401\)/, /HF_TOKEN/),
    );
    const other = fetching(server, { token: "hf_other" });
    await assert.rejects(other.fetch("owner/private"), failsWith("unauthorized", /another token/));
    await assert.rejects(other.fetch("owner/private"), (error: Error) => !error.message.includes("hf_other"));
    server.publish({ ...REPOSITORY, id: "owner/gated", gated: true });
    await assert.rejects(nobody.fetch("owner/gated"), failsWith("unauthorized", /gated/, /Request access/));
    await assert.rejects(other.fetch("owner/gated"), failsWith("forbidden", /gated/));
  });
});
