import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { lockFolder } from "../../src/train/run-lock.js";
import { tryLock } from "../../src/util/file-lock.js";
import { systemCalls } from "../../src/util/system-calls.js";

const moduleAt = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
const LOCK = moduleAt("util/file-lock.js");
const RUN_LOCK = moduleAt("train/run-lock.js");
const root = mkdtempSync(join(tmpdir(), "gpt2-lock-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newPath = (): string => join(root, `${count++}`);

const skip = process.platform !== "win32" && !systemCalls().flock && "this system has no flock";

/**
 * A process that holds a lock until it is killed; `prefix` is a command that runs it, for example in another namespace.
 */
async function holder(path: string, prefix: readonly string[] = []) {
  const source = `import { tryLock } from ${LOCK};
    console.log(tryLock(${JSON.stringify(path)}) ? "held" : "refused"); setTimeout(() => {}, 1e6);`;
  const [command, ...args] = [...prefix, process.execPath, "--input-type=module", "-e", source];
  const child = spawn(command!, args, { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await Promise.race([once(child.stdout, "data"), once(child, "close")])) as unknown[];
  return { child, line: String(line).trim() };
}

describe("a file lock", { skip }, () => {
  it("has one holder, within a process as among threads", async () => {
    const path = newPath();
    const lock = tryLock(path)!;
    assert.ok(lock.exclusive);
    assert.equal(tryLock(path), undefined);
    const source = `const { workerData, parentPort } = require("node:worker_threads");
      import(${LOCK}).then(({ tryLock }) => parentPort.postMessage(tryLock(workerData) === undefined));`;
    const worker = new Worker(source, { eval: true, workerData: path });
    assert.deepEqual(await once(worker, "message"), [true]);
    await worker.terminate();
    lock.release();
    const next = tryLock(path)!;
    next.remove();
    assert.ok(!existsSync(path));
  });

  it("ends with its process, however the process ends", async () => {
    const path = newPath();
    const { child, line } = await holder(path);
    assert.equal(line, "held");
    assert.equal(tryLock(path), undefined);
    child.kill("SIGKILL");
    await once(child, "close");
    tryLock(path)!.release();
  });

  it("works across pid namespaces and host names", async (t) => {
    const path = newPath();
    const prefix = [
      "unshare",
      "-rpu",
      "--fork",
      "--kill-child",
      "--mount-proc",
      "sh",
      "-c",
      'hostname elsewhere && exec "$0" "$@"',
    ];
    if (spawnSync(prefix[0]!, [...prefix.slice(1), "true"]).status !== 0)
      return t.skip("this machine allows no namespaces");
    const { child, line } = await holder(path, prefix);
    assert.equal(line, "held");
    assert.equal(tryLock(path), undefined, "alive, though no process here has its number");
    child.kill("SIGKILL");
    await once(child, "close");
    let lock = tryLock(path);
    for (let i = 0; i < 100 && !lock; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      lock = tryLock(path);
    }
    assert.ok(lock, "dead, though it was under another host name");
    lock.release();
  });
});

describe("without system locks", () => {
  const block = join(root, "no-koffi.cjs");
  writeFileSync(
    block,
    `const Module = require("node:module"); const load = Module._load;
     Module._load = (name, ...rest) => { if (name === "koffi") throw new Error("no koffi"); return load(name, ...rest); };`,
  );
  const run = (source: string) =>
    spawnSync(process.execPath, ["--require", block, "--input-type=module", "-e", source], { encoding: "utf8" });

  it("a run's folder is held by a file's existence, which a killed run leaves: the message says what to remove", {
    skip: process.platform === "win32" && "Windows needs no koffi",
  }, () => {
    const folder = newPath();
    mkdirSync(folder);
    const lock = `import { lockFolder } from ${RUN_LOCK}; const unlock = lockFolder(${JSON.stringify(folder)});`;
    assert.equal(run(`${lock} unlock();`).status, 0);
    assert.deepEqual(readdirSync(folder), []);
    run(`${lock} process.kill(process.pid, "SIGKILL");`);
    assert.deepEqual(readdirSync(folder), [".lock-by-name"]);
    const { stderr } = run(lock);
    assert.match(stderr, /got process \d+ on .* in it\. Wait for it to end; if it is gone, remove .*\.lock-by-name/);
  });

  it("temporary folders of others are left alone, and files are written all the same", () => {
    const folder = newPath();
    mkdirSync(join(folder, ".x.tmp-0123456789ab/new"), { recursive: true });
    const write = `import { writeFileAtomically } from ${moduleAt("util/atomic-write.js")};
      await writeFileAtomically(${JSON.stringify(join(folder, "x"))}, "x");`;
    assert.equal(run(write).status, 0);
    assert.deepEqual(readdirSync(folder), [".x.tmp-0123456789ab", "x"]);
  });
});

describe("the lock of a run's folder", { skip }, () => {
  it("names its holder, and is removed with it", () => {
    const folder = newPath();
    mkdirSync(folder);
    const unlock = lockFolder(folder);
    // Windows lets nobody read a file that is locked.
    const holder = process.platform === "win32" ? "another run" : `process ${process.pid} on .*`;
    assert.throws(() => lockFolder(folder), new RegExp(`got ${holder} in it\\. Wait for it to end`));
    unlock();
    assert.deepEqual(readdirSync(folder), []);
  });
});
