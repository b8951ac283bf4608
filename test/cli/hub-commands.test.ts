import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { byteTokenizer, recitingTensors } from "../generate/models.js";
import { deliver } from "../helpers/faulty-http.js";
import { type HubRepository, HubServer } from "../helpers/hub-server.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { exitOf, gpt2, start } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-cli-hub-"));
after(() => rmSync(folder, { recursive: true }));

const COMMIT = "fedcba9876543210fedcba9876543210fedcba98";
const SCRIPT = "Once upon a time there was a hub.";

async function recitingRepository(): Promise<HubRepository> {
  const path = join(folder, "model");
  await saveCheckpoint(path, recitingTensors([...byteTokenizer().encode(SCRIPT)].slice(1), 40));
  await saveTokenizer(byteTokenizer(), path);
  const names = readdirSync(path);
  const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(join(path, name)))]));
  return { id: "owner/model", commit: COMMIT, files: { ...files, "README.md": new Uint8Array(10) }, refs: ["v1"] };
}

const repository = await recitingRepository();
const server = await HubServer.start(repository);
after(() => server.close());
beforeEach(() => server.reset());

let count = 0;
/** A separate cache, and no settings of this machine. */
function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv & { HF_HOME: string } {
  const home = join(folder, `home-${count++}`);
  const proxies = { http_proxy: "", HTTP_PROXY: "", ALL_PROXY: "", all_proxy: "" };
  return { HF_ENDPOINT: server.endpoint, HF_HOME: home, HF_TOKEN: "", XDG_CACHE_HOME: home, ...proxies, ...more };
}

const snapshot = ({ HF_HOME }: { HF_HOME: string }) => join(HF_HOME, "hub/models--owner--model/snapshots", COMMIT);

describe("gpt2 pull", () => {
  it("prints the model's path, and nothing else without a terminal", async () => {
    const env = environment();
    for (const name of ["owner/model", "owner/model@v1", `owner/model@${COMMIT}`, `${server.endpoint}/owner/model`]) {
      const { stdout, stderr, status } = await gpt2(["pull", name], "", env);
      assert.deepEqual([stdout, stderr, status], [`${snapshot(env)}\n`, "", 0]);
    }
    assert.equal(server.count("cdn"), 1);
    const { stdout } = await gpt2(["pull", "owner/model", "--revision", "v1", "--json"], "", env);
    const { path, commit, files } = JSON.parse(stdout);
    assert.deepEqual([path, commit], [snapshot(env), COMMIT]);
    assert.deepEqual(
      files.map(({ name, fetched }: { name: string; fetched: boolean }) => [name, fetched]),
      [
        ...["config.json", "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"],
        ...["generation_config.json", "model.safetensors"],
      ].map((name) => [name, false]),
    );
  });

  it("shows progress on demand, and waits", async () => {
    let refused = false;
    server.fault = ({ where }) => {
      if (where !== "cdn" || refused) return undefined;
      refused = true;
      return { instead: { status: 503, headers: { "Retry-After": "0" }, body: "" } };
    };
    const { stderr, status } = await gpt2(["pull", "owner/model", "--progress"], "", environment());
    assert.equal(status, 0);
    assert.match(stderr, /^model\.safetensors {2}\d+% {2}.* kB\/1\.38 MB .*\nmodel\.safetensors {2}1\.38 MB$/m);
    assert.match(stderr, /^gpt2: model\.safetensors: a server error \(503\); trying again at once$/m);
  });

  it("reports errors in one line", async () => {
    const env = environment();
    for (const [args, status, pattern] of [
      [
        ["pull", "owner/nothing"],
        1,
        /no file or folder owner\/nothing here, and from the hub no such repository \(401\)/,
      ],
      [["pull", "owner/model@v9"], 1, /no such revision/],
      [["pull", "owner/model", "--offline"], 1, /the whole model in the cache/],
      [["pull", folder], 2, /need not be fetched/],
      [["pull", "nonsense"], 1, /opening nonsense: expected a file or folder, gpt2,/],
      [["pull", "owner/model", "--revision", "a b"], 2, /one branch, tag or commit/],
      [["pull"], 2, /missing required argument/],
    ] as const) {
      const result = await gpt2(args, "", env);
      assert.deepEqual([result.stdout, result.status], ["", status], args.join(" "));
      assert.match(result.stderr, pattern);
    }
  });

  it("stops at Ctrl-C with status 130, and resumes later", { skip: LIKE_OTHERS }, async () => {
    const env = environment();
    server.fault = ({ where }) => (where === "cdn" ? { stallAfter: 30_000 } : undefined);
    const child = start(["pull", "owner/model"], env);
    const blobs = join(env.HF_HOME, "hub/models--owner--model/blobs");
    const arrived = () =>
      existsSync(blobs) &&
      readdirSync(blobs).some((name) => {
        return name.endsWith(".incomplete") && statSync(join(blobs, name), { throwIfNoEntry: false })?.size === 30_000;
      });
    while (!arrived()) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    assert.equal(await exitOf(child), 130);
    server.reset();
    assert.equal((await gpt2(["pull", "owner/model"], "", env)).status, 0);
    assert.equal(server.requests.find(({ where }) => where === "cdn")!.headers.range, "bytes=30000-");
  });

  it("reports a full disk and leaves no partial file", {
    skip: LIKE_OTHERS || (process.platform === "win32" && "no ulimit"),
  }, async () => {
    const env = environment();
    const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
    const script = `ulimit -f 20; exec "${process.execPath}" "${main}" pull owner/model`;
    const shell = spawn("sh", ["-c", script], { env: { ...process.env, ...env } });
    let stderr = "";
    shell.stderr.on("data", (piece: Buffer) => (stderr += piece));
    assert.equal(await exitOf(shell), 1);
    assert.match(stderr, /writing model\.safetensors of owner\/model.*ulimit -f/);
    const blobs = readdirSync(join(env.HF_HOME, "hub/models--owner--model/blobs"));
    assert.ok(blobs.every((name) => !name.endsWith(".incomplete")));
  });
});

describe("a model's name on the command line", () => {
  it("is fetched on first use, and then used without a network", async () => {
    const env = environment();
    const generate = ["O", "--temperature", "0", "-n", String(SCRIPT.length - 1), "--model", "owner/model"];
    assert.deepEqual(await gpt2(generate, "", env), { stdout: `${SCRIPT}\n`, stderr: "", status: 0 });
    server.reset();
    for (const offline of [
      { args: ["--offline"], env: {} },
      { args: [], env: { HF_HUB_OFFLINE: "1" } },
    ]) {
      const result = await gpt2([...generate, ...offline.args], "", { ...env, ...offline.env });
      assert.equal(result.stdout, `${SCRIPT}\n`);
    }
    assert.deepEqual(server.requests, []);
    const info = await gpt2(["info", "owner/model", "--offline"], "", env);
    assert.match(info.stdout, /^vocabulary +257 tokens$/m);
    server.fault = () => ({ hangUp: true });
    const lost = await gpt2(generate, "", env);
    assert.equal(lost.stdout, `${SCRIPT}\n`);
    assert.match(lost.stderr, /^gpt2: owner\/model: using the cached copy, because of a connection closed/);
  });

  it("of another architecture is refused before its weights are fetched", async () => {
    const config = new TextEncoder().encode('{"model_type":"t5"}');
    server.publish({ ...repository, id: "owner/t5", files: { ...repository.files, "config.json": config } });
    const { stderr, status } = await gpt2(["x", "--model", "owner/t5"], "", environment());
    assert.equal(status, 1);
    assert.match(stderr, /model_type: expected .*"gpt2" or "gpt_neo".*, got "t5"/);
    assert.equal(server.count("cdn"), 0);
  });

  it("may be an address", async () => {
    const gguf = join(folder, "m.gguf");
    await gpt2(["convert", join(folder, "model"), gguf, "--dtype", "f16"]);
    const web = createServer((request, response) => {
      const body = request.url === "/files/m.gguf" ? readFileSync(gguf) : undefined;
      void deliver(
        body ? { body, ranges: true, headers: { ETag: '"1"' } } : { status: 404, body: "" },
        {},
        request,
        response,
      );
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(web.address() as AddressInfo).port}/files/m.gguf`;
    const { stdout } = await gpt2(["O", "--temperature", "0", "-n", "5", "--model", address], "", environment());
    assert.equal(stdout, `${SCRIPT.slice(0, 6)}\n`);
    web.closeAllConnections();
    web.close();
  });
});

describe("gpt2 convert", () => {
  it("fetches, converts, and reports the files", async () => {
    const env = environment();
    const to = join(folder, "out/model.gguf");
    const { stdout, stderr, status } = await gpt2(["convert", "owner/model", to, "--dtype", "q8_0"], "", env);
    assert.deepEqual([stderr, status], ["", 0]);
    assert.match(
      stdout,
      /Hugging Face, f32\n.*model\.gguf {2}GGUF, q8_0, a tokenizer of 257 tokens, .* in one file\n$/,
    );
    const again = await gpt2(["convert", "owner/model", to, "--offline"], "", env);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /expected nothing there, got .*model\.gguf\. Choose another name, or --overwrite/);
    const json = await gpt2(["convert", to, to, "--to", "gguf", "--overwrite", "--json", "--dtype", "bf16"], "", env);
    const { from, format, dtype } = JSON.parse(json.stdout);
    assert.deepEqual([from.format, format, dtype], ["gguf", "gguf", "bf16"]);
    const wrong = await gpt2(["convert", to, join(folder, "x"), "--dtype", "q5"], "", env);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /Allowed choices are f32/);
  });
});
