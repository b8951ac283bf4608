import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text as readAll } from "node:stream/consumers";
import { after, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { DownloadEvent } from "../../src/hub/events.js";
import { PartialFile } from "../../src/hub/partial-file.js";
import { withFileLock } from "../../src/util/file-lock.js";
import { HubServer } from "../helpers/hub-server.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { fetching, fileOf, REPOSITORY, temporaryFolder, WEIGHTS } from "./support.js";

const server = await HubServer.start(REPOSITORY);
after(() => server.close());
beforeEach(() => server.reset());

const SCRIPT = fileURLToPath(new URL("./fetch-process.js", import.meta.url));

function start(cacheDir: string): ChildProcess {
  return spawn(process.execPath, [SCRIPT, server.endpoint, cacheDir, "owner/model"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function linesOf(child: ChildProcess): Promise<DownloadEvent[]> {
  const printed = await readAll(child.stdout!);
  return printed
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as DownloadEvent);
}

/** Resolves when the child has received this much of the weights. */
async function received(child: ChildProcess, bytes: number): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const event = JSON.parse(line) as DownloadEvent;
    if (event.type === "bytes" && event.received >= bytes) return;
  }
}

/** Without flock, both may fetch. */
const hasLocks = await withFileLock(join(temporaryFolder(), "lock"), {}, async (exclusive) => exclusive);
const skip = !hasLocks && "this system has no flock";

describe("several processes at once", () => {
  it("fetch a file once, and all get it", { skip: skip || LIKE_OTHERS }, async () => {
    const { cacheDir } = fetching(server);
    server.fault = ({ where }) => (where === "cdn" ? { slow: 6 } : undefined);
    const events = await Promise.all([start(cacheDir), start(cacheDir), start(cacheDir)].map(linesOf));
    for (const list of events) assert.equal(list.at(-1)?.type, "path");
    assert.equal(server.count("cdn"), 1);
    assert.ok(events.flat().some((event) => event.type === "wait" && /another program/.test(event.message)));
    const blobs = join(cacheDir, "models--owner--model/blobs");
    assert.deepEqual(
      readdirSync(blobs).filter((name) => name.includes("incomplete")),
      [],
    );
  });

  it("lose nothing if one is killed: the next resumes", { skip: skip || LIKE_OTHERS }, async () => {
    const one = fetching(server);
    server.fault = ({ where }) => (where === "cdn" ? { slow: 3 } : undefined);
    const child = start(one.cacheDir);
    await received(child, 50_000);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
    server.reset();
    assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
    const range = server.requests.find(({ where }) => where === "cdn")!.headers.range;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]);
    assert.ok(from >= 50_000 && from < WEIGHTS.length, `went on from ${from}`);
  });

  it("also wait for each other within one process, and stop waiting when aborted", { skip }, async () => {
    const path = join(temporaryFolder(), "deep/er.lock");
    let running = 0;
    const work = async (): Promise<void> => {
      assert.equal(++running, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
    };
    await Promise.all([1, 2, 3].map(() => withFileLock(path, {}, work)));
    await withFileLock(path, {}, async () => {
      await assert.rejects(withFileLock(path, { signal: AbortSignal.timeout(20) }, work), { name: "AbortError" });
    });
  });
});

describe("without locks", () => {
  it("two processes write separate files, and the last to finish changes nothing", async () => {
    const folder = temporaryFolder();
    const target = join(folder, "whole");
    const [a, b] = [await PartialFile.open(folder, "x", false), await PartialFile.open(folder, "x", false)];
    await a.append(WEIGHTS.subarray(0, 1000));
    await b.append(WEIGHTS.subarray(0, 500));
    await a.finish(target);
    await b.append(WEIGHTS.subarray(500, 1000));
    assert.deepEqual(new Uint8Array(readFileSync(target)), WEIGHTS.slice(0, 1000));
    await b.finish(target);
    assert.deepEqual(new Uint8Array(readFileSync(target)), WEIGHTS.slice(0, 1000));
    assert.deepEqual(readdirSync(folder), ["whole"]);
  });

  it("a process that takes over a file which another still writes does it no harm", async () => {
    const folder = temporaryFolder();
    const a = await PartialFile.open(folder, "x", true);
    await a.append(WEIGHTS.subarray(0, 600));
    const b = await PartialFile.open(folder, "x", true);
    assert.equal(b.size, 600);
    await a.append(WEIGHTS.subarray(600, 1000));
    await b.append(WEIGHTS.subarray(600, 700));
    await assert.rejects(a.finish(join(folder, "a")), { code: "ENOENT" });
    await b.restart();
    await b.append(WEIGHTS.subarray(0, 1000));
    await b.finish(join(folder, "b"));
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "b"))), WEIGHTS.slice(0, 1000));
  });
});
