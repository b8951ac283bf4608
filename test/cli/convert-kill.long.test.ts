import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { tokenizerOf } from "../../src/pretrained/tokenizer.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer, recitingTensors } from "../generate/models.js";

/** kill -9 of a conversion over an old model: what is there afterwards is the old one or the new one, tokenizer included. */

const root = mkdtempSync(join(tmpdir(), "gpt2-convert-kill-"));
after(() => rmSync(root, { recursive: true }));
const NEW = packageFile("models/default");
const OLD = join(root, "old");
const CLI = packageFile("dist/src/cli/main.js");

/** Names and hashes of a folder's files, without temporary ones. */
function tree(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .filter((name) => !/(^|[/\\])\.[^/\\]+\.tmp-/.test(name));
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name, hash(name)]));
}

before(async () => {
  const tokenizer = byteTokenizer();
  const { config, tensors } = recitingTensors([1, 2, 3]);
  await saveCheckpoint(OLD, { config, tensors, tokenizer, metadata: { note: "old" } });
});

async function killedOnce(target: string, delay: number): Promise<void> {
  const child = spawn(process.execPath, [CLI, "convert", NEW, target, "--overwrite"], { stdio: "ignore" });
  const exit = once(child, "exit");
  let ended = false;
  void exit.then(() => (ended = true));
  const begun = () => readdirSync(join(target, "..")).some((name) => /\.tmp-/.test(name));
  while (!ended && !begun()) await sleep(1);
  await sleep(delay);
  child.kill("SIGKILL");
  await exit;
}

describe("convert --overwrite, killed", { concurrency: 3, skip: process.platform === "win32" }, () => {
  for (const name of ["model", "model.gguf"]) {
    it(`leaves ${name} as it was, or as it is to be, and runs again`, async () => {
      const folder = join(root, `case-${name}`);
      mkdirSync(folder);
      const target = join(folder, name);
      await convertModel(OLD, target);
      const old = tree(folder);
      await convertModel(NEW, target, { overwrite: true });
      const whole = tree(folder);
      for (const delay of [0, 25, 80]) {
        await convertModel(OLD, target, { overwrite: true });
        await killedOnce(target, delay);
        const left = tree(folder);
        const isOld = JSON.stringify(left) === JSON.stringify(old);
        assert.ok(isOld || JSON.stringify(left) === JSON.stringify(whole), `${delay} ms: ${Object.keys(left)}`);
        const checkpoint = await openCheckpoint(target);
        assert.equal((await tokenizerOf(checkpoint))?.vocabSize, isOld ? 257 : 8192);
        checkpoint.close();
        await convertModel(NEW, target, { overwrite: true });
        assert.deepEqual(tree(folder), whole);
        assert.deepEqual(readdirSync(folder), [name], "nothing temporary is left");
      }
    });
  }

  it("leaves of a llm.c model all files or no model, never one beside another's tokenizer", async () => {
    const folder = join(root, "llmc");
    mkdirSync(folder);
    const target = join(folder, "model.bin");
    await convertModel(NEW, target);
    const whole = tree(folder);
    for (const delay of [0, 30, 90]) {
      for (const file of readdirSync(folder)) rmSync(join(folder, file), { recursive: true });
      await killedOnce(target, delay);
      if (existsSync(target)) assert.deepEqual(tree(folder), whole);
      await convertModel(NEW, target, { overwrite: true });
      assert.deepEqual(tree(folder), whole);
    }
  });
});
