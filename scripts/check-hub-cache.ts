/**
 * Checks the cache against the real huggingface_hub, in both directions: models fetched here are found, scanned and loaded
 * there, and vice versa; the layouts are equal; the programs wait for each other's locks, and we resume after it
 * was killed. Everything comes from a server on loopback. Not part of `npm test`: it needs Python with huggingface_hub and
 * transformers.
 *
 *     npm run build && node dist/scripts/check-hub-cache.js
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gpt2Config } from "../src/architectures/gpt2/config.js";
import { GPT2 } from "../src/gpt2.js";
import type { DownloadEvent } from "../src/hub/node.js";
import { locateModel } from "../src/pretrained/locate.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { saveTokenizer } from "../src/tokenizer/files.js";
import { packageFile } from "../src/util/package-root.js";
import { byteTokenizer } from "../test/generate/models.js";
import { type HubRepository, HubServer } from "../test/helpers/hub-server.js";
import { seededTensors } from "../test/helpers/seeded-weights.js";

const ID = "owner/model";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const folder = mkdtempSync(join(tmpdir(), "gpt2-hub-check-"));

async function makeRepository(): Promise<HubRepository> {
  const path = join(folder, "model");
  const config = gpt2Config({ vocabSize: 257, nCtx: 32, nEmbd: 64, nHead: 2, nLayer: 2 });
  const tensors = Array.from(seededTensors(config, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(path, { config, tensors });
  await saveTokenizer(byteTokenizer(), path);
  const files = readdirSync(path).map((name) => [name, new Uint8Array(readFileSync(join(path, name)))]);
  return { id: ID, commit: COMMIT, refs: ["v1"], files: Object.fromEntries(files) };
}

const repository = await makeRepository();
const LARGE = "owner/large";
const large = { "config.json": new Uint8Array(2), "model.safetensors": new Uint8Array(24_000_000).fill(7) };
const server = await HubServer.start(repository, { id: LARGE, commit: COMMIT, files: large });
let homes = 0;
const freshHome = (): string => join(folder, `home-${homes++}`);

interface Answer {
  readonly version: string;
  readonly path: string;
  readonly type: string;
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  readonly warnings: readonly string[];
  readonly repos: readonly { id: string; revisions: readonly { commit: string; refs: string[]; files: string[] }[] }[];
}

function startPython(home: string, args: readonly string[], offline = false): ChildProcess {
  const hub = { HF_ENDPOINT: server.endpoint, HF_HOME: home, HF_HUB_OFFLINE: offline ? "1" : "0" };
  const quiet = { HF_HUB_DISABLE_PROGRESS_BARS: "1", HF_HUB_DISABLE_XET: "1", OMP_NUM_THREADS: "1", NO_PROXY: "*" };
  const script = packageFile("scripts/python/hub_cache.py");
  const stdio = ["ignore", "pipe", "inherit"] as const;
  return spawn("python3", [script, ...args], { env: { ...process.env, ...hub, ...quiet }, stdio: [...stdio] });
}

async function python(home: string, args: readonly string[], offline = false): Promise<Answer> {
  const printed = await text(startPython(home, args, offline).stdout!);
  return JSON.parse(printed.trim().split("\n").at(-1)!) as Answer;
}

function ours(home: string, offline = false, onDownload?: (event: DownloadEvent) => void, id = ID) {
  return locateModel(id, { endpoint: server.endpoint, cacheDir: join(home, "hub"), token: false, offline, onDownload });
}

/** Size of the file being fetched into a folder. */
function incompleteSize(blobs: string): number {
  if (!existsSync(blobs)) return 0;
  const [name] = readdirSync(blobs).filter((file) => file.endsWith(".incomplete"));
  return (name && statSync(join(blobs, name), { throwIfNoEntry: false })?.size) || 0;
}

/** Links and blobs of the model: all that both programs must agree on. */
function layout(home: string): string[] {
  const root = join(home, "hub/models--owner--model");
  const entries = readdirSync(root, { recursive: true, withFileTypes: true, encoding: "utf8" });
  const paths = entries.flatMap((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isSymbolicLink()) return [`${name} -> ${readlinkSync(path)}`];
    return entry.isFile() && /^(blobs|refs)\//.test(name) ? [name] : [];
  });
  return paths.sort();
}

const checks: [name: string, check: () => Promise<void>][] = [
  [
    "huggingface_hub finds, scans and loads what we fetched",
    async () => {
      const home = freshHome();
      const { path } = await ours(home);
      for (const name of Object.keys(repository.files)) {
        const answer = await python(home, ["file", ID, name], true);
        assert.equal(answer.path, join(path, name));
      }
      const { repos, warnings } = await python(home, ["scan"]);
      assert.deepEqual(warnings, []);
      const files = Object.keys(repository.files).sort();
      assert.deepEqual(repos, [{ id: ID, revisions: [{ commit: COMMIT, refs: ["main"], files }] }]);
      server.reset();
      await python(home, ["download", ID]);
      assert.equal(server.count("cdn"), 0, "nothing is fetched twice");
    },
  ],
  [
    "transformers computes the same from it",
    async () => {
      const home = freshHome();
      const { path } = await ours(home);
      const theirs = await python(home, ["load", ID], true);
      assert.equal(theirs.type, "GPT2LMHeadModel");
      const model = await GPT2.load(path, { backend: "reference" });
      assert.deepEqual([...model.tokenizer!.encode("Once upon")], theirs.ids);
      const logits = (await model.logits(theirs.ids)).slice(-257);
      const difference = Math.max(...logits.map((x, i) => Math.abs(x - theirs.logits[i]!)));
      assert.ok(difference < 1e-5, `logits differ by ${difference}`);
    },
  ],
  [
    "we find what huggingface_hub fetched, and the two caches are alike",
    async () => {
      const theirs = freshHome();
      const { path } = await python(theirs, ["download", ID]);
      server.reset();
      assert.equal((await ours(theirs, true)).path, path);
      assert.deepEqual(server.requests, []);
      const online = await ours(theirs);
      assert.ok(online.files.every(({ fetched }) => !fetched));
      const mine = freshHome();
      await ours(mine);
      assert.deepEqual(layout(theirs), layout(mine));
    },
  ],
  [
    "we wait for huggingface_hub, and it waits for us",
    async () => {
      for (const firstIsOurs of [true, false]) {
        const home = freshHome();
        server.reset();
        server.fault = ({ where }) => (where === "cdn" ? { slow: 50 } : undefined);
        const begun = async (): Promise<void> => {
          while (server.count("cdn") === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        };
        const events: DownloadEvent[] = [];
        const mine = () => ours(home, false, (event) => void events.push(event));
        const first = firstIsOurs ? mine() : python(home, ["file", ID, "model.safetensors"]);
        await begun();
        const second = firstIsOurs ? python(home, ["file", ID, "model.safetensors"]) : mine();
        await Promise.all([first, second]);
        assert.equal(server.count("cdn", "GET"), 1, "only one of the two fetches it");
        if (!firstIsOurs)
          assert.ok(
            events.some((event) => event.type === "wait"),
            "we say that we wait",
          );
      }
    },
  ],
  [
    "we resume where huggingface_hub was killed",
    async () => {
      const home = freshHome();
      server.reset();
      // It writes 10 MB at a time.
      server.fault = ({ where }) => (where === "cdn" ? { stallAfter: 15_000_000 } : undefined);
      const child = startPython(home, ["file", LARGE, "model.safetensors"]);
      const blobs = join(home, "hub/models--owner--large/blobs");
      while (incompleteSize(blobs) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("close", resolve));
      const size = incompleteSize(blobs);
      server.reset();
      await ours(home, false, undefined, LARGE);
      const range = server.requests.find(({ where }) => where === "cdn")?.headers.range;
      assert.equal(range, `bytes=${size}-`);
    },
  ],
];

const { version } = await python(freshHome(), ["version"]);
console.log(`huggingface_hub ${version}`);
let failed = 0;
for (const [name, check] of checks) {
  try {
    await check();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILS ${name}\n${error instanceof Error ? error.stack : error}`);
  }
}
await server.close();
rmSync(folder, { recursive: true });
process.exit(failed === 0 ? 0 : 1);
