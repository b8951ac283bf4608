import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { initialTensors } from "../../src/architectures/init.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openModel } from "../../src/pretrained/load.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { tokenizerOf } from "../../src/pretrained/tokenizer.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer, recitingTensors } from "../generate/models.js";

/** kill -9 of a conversion over an old model: afterwards the old or the new model is there, tokenizer included. */

const root = mkdtempSync(join(tmpdir(), "gpt2-convert-kill-"));
after(() => rmSync(root, { recursive: true }));
const NEW = packageFile("models/default");
const OLD = join(root, "old");
const OLD_LLMC = join(root, "old-llmc");
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
  // llm.c's files have room for usual shapes only.
  const usual = gpt2Config({ vocabSize: 257, nCtx: 8, nEmbd: 4, nHead: 1, nLayer: 1 });
  const values = new Map(initialTensors(usual, { seed: 1 }));
  const list = tensorTable(usual).map(({ name, shape }) => ({ name, shape, data: values.get(name)! }));
  await saveCheckpoint(OLD_LLMC, { config: usual, tensors: list, tokenizer });
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
    it(`leaves ${name} old or new, and runs again`, async () => {
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

  for (const [where, file] of [
    ["a folder of its own", undefined],
    ["a folder with other files", "notes.txt"],
  ] as const) {
    it(`leaves the old files or the new ones of an llm.c model in ${where}, tokenizer included`, async () => {
      const folder = join(root, `llmc-${file !== undefined}`);
      const target = join(folder, "model.bin");
      const prepare = async (from: string | undefined) => {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder);
        if (file !== undefined) writeFileSync(join(folder, file), "mine");
        if (from !== undefined) await convertModel(from, target);
        return tree(folder);
      };
      const states = { nothing: await prepare(undefined), old: await prepare(OLD_LLMC), whole: await prepare(NEW) };
      for (const [before, from] of [
        ["nothing", undefined],
        ["old", OLD_LLMC],
      ] as const) {
        for (const delay of [0, 30, 90]) {
          await prepare(from);
          await killedOnce(target, delay);
          // A half-finished move is completed when the model is opened.
          const opened = await openModel(target, {}).catch((error: Error) => error);
          if (opened instanceof Error) assert.match(opened.message, /no such file/);
          else opened.close();
          const left = tree(folder);
          const state = Object.entries(states).find(([, state]) => JSON.stringify(state) === JSON.stringify(left))?.[0];
          assert.ok(state === before || state === "whole", `${delay} ms: ${Object.keys(left)}`);
          await convertModel(NEW, target, { overwrite: true });
          assert.deepEqual(tree(folder), states.whole);
        }
      }
    });
  }
});
