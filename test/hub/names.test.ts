import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CheckpointError, UsageError } from "../../src/errors.js";
import { isFilePath, isRevision, parseModelName } from "../../src/hub/model-name.js";
import { hubSettings, urlCacheDir } from "../../src/hub/settings.js";
import { locateModel } from "../../src/pretrained/locate.js";
import { HubServer } from "../helpers/hub-server.js";
import { failsWith, REPOSITORY, temporaryFolder } from "./support.js";

const HUB = "https://huggingface.co";

describe("a model's name", () => {
  const hub = (id: string, revision = "main", file?: string, aliases: string[] = []) => {
    return { kind: "hub", id, revision, ...(file && { file }), aliases };
  };

  it("is a preset, owner/name or one of its files, with or without a revision", () => {
    for (const [text, expected] of [
      ["gpt2", hub("openai-community/gpt2", "main", undefined, ["gpt2"])],
      ["gpt2-xl@v1", hub("openai-community/gpt2-xl", "v1", undefined, ["gpt2-xl"])],
      ["distilgpt2", hub("distilbert/distilgpt2", "main", undefined, ["distilgpt2"])],
      ["openai-community/gpt2", hub("openai-community/gpt2", "main", undefined, ["gpt2"])],
      ["owner/name", hub("owner/name")],
      ["a.b-c_d/0", hub("a.b-c_d/0")],
      ["owner/name@refs/pr/1", hub("owner/name", "refs/pr/1")],
      ["owner/name/deep/er/x.gguf@abc", hub("owner/name", "abc", "deep/er/x.gguf")],
    ] as const) {
      assert.deepEqual(parseModelName(text, HUB), expected, text);
    }
  });

  it("is an address of the hub, of a replacement server, or of any server", () => {
    for (const [text, expected] of [
      ["https://huggingface.co/owner/name", hub("owner/name")],
      ["https://huggingface.co/owner/name/", hub("owner/name")],
      ["https://hf.co/owner/name/tree/v2", hub("owner/name", "v2")],
      ["https://huggingface.co/owner/name/blob/main/a/b.gguf", hub("owner/name", "main", "a/b.gguf")],
      [
        "https://huggingface.co/owner/name/resolve/refs%2Fpr%2F1/x.bin?download=true",
        hub("owner/name", "refs/pr/1", "x.bin"),
      ],
      ["https://mirror.example/hf/owner/name", hub("owner/name")],
    ] as const) {
      assert.deepEqual(parseModelName(text, "https://mirror.example/hf"), expected, text);
    }
    for (const text of [
      "https://example.com/owner/name",
      "http://127.0.0.1:1/x.gguf",
      "https://mirror.example/owner/name",
    ]) {
      assert.deepEqual(parseModelName(text, "https://mirror.example/hf"), { kind: "url", url: new URL(text) });
    }
  });

  it("is nothing else", () => {
    const none = [
      "",
      "bert",
      "./a/b",
      "../a/b",
      "/a/b",
      "a/",
      "/a",
      "a/b@",
      "a/b@../x",
      "a/b@-x",
      "a/b//c",
      "a/b/../c",
    ];
    const odd = [
      "a/b.gguf",
      "a/model.bin",
      "-a/b",
      "a/b-",
      "a--b/c",
      "a/..b",
      "a/b.git",
      "a b/c",
      "ftp://x/y",
      "C:\\x\\y",
      "__proto__",
    ];
    for (const text of [...none, ...odd, "https://", `a/${"b".repeat(96)}`]) {
      assert.equal(parseModelName(text, HUB), undefined, text);
    }
  });

  it("holds no path that leads elsewhere", () => {
    for (const path of ["../x", "a/../b", "/a", "a//b", ".", "a/.", "a\\b", "c:x", "a\nb", ""])
      assert.ok(!isFilePath(path), path);
    for (const path of ["a", "a/b.c", ".gitattributes", "a b/c-d"]) assert.ok(isFilePath(path), path);
    for (const name of ["../x", "a/../b", "/a", "a/.b", "-a", "a b", "a\n", "", "a/"])
      assert.ok(!isRevision(name), name);
  });
});

describe("finding a model", () => {
  it("prefers a path to a model on the hub with the same name", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "owner/model"), { recursive: true });
    writeFileSync(join(folder, "gpt2"), "");
    const before = process.cwd();
    process.chdir(folder);
    try {
      const offline = { offline: true, cacheDir: folder };
      assert.equal((await locateModel("owner/model", offline)).path, "owner/model");
      assert.equal((await locateModel("gpt2", offline)).path, "gpt2");
      await assert.rejects(locateModel("gpt2", { ...offline, revision: "v1" }), UsageError);
    } finally {
      process.chdir(before);
    }
  });

  it("lists everything that was tried", async () => {
    const server = await HubServer.start(REPOSITORY);
    try {
      const options = { endpoint: server.endpoint, cacheDir: temporaryFolder(), token: false } as const;
      const hint = [/no file or folder runs\/last here/, /from the hub no such repository/, /runs\/last from 127/];
      await assert.rejects(locateModel("runs/last", options), failsWith("unauthorized", ...hint));
      await assert.rejects(
        locateModel("runs/last", { ...options, offline: true }),
        failsWith("offline", /no file or folder runs\/last here/),
      );
      assert.equal(server.count("api"), 1);
      await assert.rejects(locateModel("./runs/last", options), (error: Error) => {
        return (
          error instanceof CheckpointError &&
          /opening \.\/runs\/last: .*distilgpt2.*owner\/name.*https/.test(error.message)
        );
      });
      assert.equal((await locateModel("owner/model", { ...options, revision: "v1.0" })).files.length, 6);
      for (const revision of ["a b", "../x", ""]) {
        await assert.rejects(locateModel("owner/model", { ...options, revision }), UsageError);
      }
      await assert.rejects(locateModel("owner/model@v1.0", { ...options, revision: "main" }), UsageError);
    } finally {
      await server.close();
    }
  });
});

describe("the settings", () => {
  const home = homedir();

  it("equal those of Python's huggingface_hub", () => {
    const settings = (env: Record<string, string>, options = {}) => hubSettings(options, { HF_TOKEN: "t", ...env });
    assert.deepEqual(
      [settings({}).endpoint, settings({}).cacheDir, settings({}).token, settings({}).offline],
      ["https://huggingface.co", join(home, ".cache/huggingface/hub"), "t", false],
    );
    const caches: [Record<string, string>, string][] = [
      [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
      [{ XDG_CACHE_HOME: "/x", HF_HOME: "~/h" }, join(home, "h/hub")],
      [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
      [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/c" }, "/c"],
    ];
    for (const [env, expected] of caches) assert.equal(settings(env).cacheDir, expected);
    assert.equal(settings({ HF_HUB_CACHE: "/c" }, { cacheDir: "/mine" }).cacheDir, "/mine");
    assert.equal(settings({ HF_ENDPOINT: "http://127.0.0.1:8/hub/" }).endpoint, "http://127.0.0.1:8/hub");
    assert.throws(() => settings({ HF_ENDPOINT: "huggingface.co" }), UsageError);
    for (const yes of ["1", "true", "YES", "on"]) assert.ok(settings({ HF_HUB_OFFLINE: yes }).offline);
    assert.ok(settings({ TRANSFORMERS_OFFLINE: "1" }).offline);
    for (const no of ["0", "", "false"]) assert.ok(!settings({ HF_HUB_OFFLINE: no }).offline);
    assert.ok(!settings({ HF_HUB_OFFLINE: "1" }, { offline: false }).offline);
    assert.equal(urlCacheDir({ XDG_CACHE_HOME: "/x" }), "/x/gpt2-ts/urls");
  });

  it("find the token where Python puts it", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "token"), "from-home\n");
    writeFileSync(join(folder, "other"), "from-path");
    const tokenOf = (env: Record<string, string>, options = {}) =>
      hubSettings(options, { HF_HOME: folder, ...env }).token;
    assert.equal(tokenOf({}), "from-home");
    assert.equal(tokenOf({ HF_TOKEN_PATH: join(folder, "other") }), "from-path");
    assert.equal(tokenOf({ HF_TOKEN: "from-env" }), "from-env");
    assert.equal(tokenOf({ HF_TOKEN: "from-env" }, { token: "given" }), "given");
    assert.equal(tokenOf({ HF_TOKEN: "from-env" }, { token: false }), undefined);
    assert.equal(tokenOf({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }), undefined);
    assert.equal(tokenOf({ HF_TOKEN_PATH: join(folder, "none") }), undefined);
    assert.throws(
      () => tokenOf({ HF_TOKEN: "sécret" }),
      (error: Error) => error instanceof UsageError && !/cret/.test(error.message),
    );
  });
});
