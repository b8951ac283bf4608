import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CheckpointError } from "../../src/errors.js";
import { memoryFiles, openFile } from "../../src/pretrained/index.js";
import { openModel, openWithAdapter } from "../../src/pretrained/load.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { tokenizerOf } from "../../src/pretrained/tokenizer.js";
import { packageFile } from "../../src/util/package-root.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-stand-ins-"));
after(() => rmSync(folder, { recursive: true }));
const TINY = packageFile("test/fixtures/tiny");

const LFS =
  "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\nsize 497\n";
const ANNEX = "/annex/objects/SHA256E-s497--4d7a214614ab2935c943f9e0ff69d22eadbb8f32.safetensors\n";
const PAGE = '\n<!DOCTYPE html>\n<html lang="en"><head><title>Sign in</title>';
const STAND_INS = [
  ["a Git LFS pointer", LFS, /got a Git LFS pointer\. Fetch the file itself with `git lfs pull`/],
  ["a git-annex pointer", ANNEX, /got a git-annex pointer\. Fetch the file itself with `git annex get`/],
  ["a web page", PAGE, /got a web page \(HTML\)/],
] as const;

describe("a stand-in for a file is named for what it is", () => {
  let count = 0;
  /** A copy of a model in which one file is another text. */
  function modelWith(file: string, text: string): string {
    const path = join(folder, String(count++));
    cpSync(TINY, path, { recursive: true });
    writeFileSync(join(path, file), text);
    return path;
  }

  for (const [what, text, message] of STAND_INS) {
    for (const file of ["model.safetensors", "config.json"]) {
      it(`${what} as ${file}`, async () => {
        const path = modelWith(file, text);
        await assert.rejects(openCheckpoint(path), { name: "CheckpointError", message });
      });
    }
    it(`${what} as tokenizer.json`, async () => {
      const path = modelWith("tokenizer.json", text);
      const checkpoint = await openCheckpoint(path);
      await assert.rejects(tokenizerOf(checkpoint), { name: "TokenizerError", message });
      checkpoint.close();
    });
    for (const name of ["m.safetensors", "m.gguf", "m.bin", "m.pt", "m"]) {
      it(`${what} as ${name}, on disk and in memory`, async () => {
        const path = join(folder, name);
        writeFileSync(path, text);
        await assert.rejects(openCheckpoint(path), { name: "CheckpointError", message });
        const files = memoryFiles(name, { [name]: new TextEncoder().encode(text) });
        await assert.rejects(openFile(name, files), { name: "CheckpointError", message });
      });
    }
  }

  it("a git-annex link whose content is elsewhere", { skip: process.platform === "win32" }, async () => {
    const path = modelWith("notes.txt", "");
    rmSync(join(path, "model.safetensors"));
    symlinkSync(".git/annex/objects/Xy/12/SHA256E-s1--ab/SHA256E-s1--ab", join(path, "model.safetensors"));
    const message = /model\.safetensors: .*got a git-annex link without its content\. .*git annex get/;
    await assert.rejects(openCheckpoint(path), { name: "CheckpointError", message });
    await assert.rejects(openModel(join(path, "model.safetensors")), { name: "CheckpointError", message });
  });
});

describe("a folder with the name of a model on the hub", () => {
  it("says that it hides the model, if it contains none", async () => {
    const before = process.cwd();
    mkdirSync(join(folder, "here", "gpt2"), { recursive: true });
    mkdirSync(join(folder, "here", "plain.folder"));
    process.chdir(join(folder, "here"));
    try {
      const message = /got an empty folder\. This folder hides the model openai-community\/gpt2 of the hub: rename it/;
      await assert.rejects(openModel("gpt2"), { name: "CheckpointError", message });
      await assert.rejects(openModel("./gpt2"), (error: Error) => !/hides/.test(error.message));
    } finally {
      process.chdir(before);
    }
  });
});

describe("the model that an adapter names", () => {
  it("is not fetched from an address", async () => {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(request.url!);
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const path = join(folder, "adapter");
    cpSync(packageFile("test/fixtures/peft/patterns"), path, { recursive: true });
    const file = join(path, "adapter_config.json");
    const json = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    const { port } = server.address() as AddressInfo;
    try {
      for (const base of [`http://127.0.0.1:${port}/x.gguf`, "file:///etc/passwd", "//host/share/x.gguf"]) {
        writeFileSync(file, JSON.stringify({ ...json, base_model_name_or_path: base }));
        for (const options of [{ adapters: path }, { merge: path }]) {
          await assert.rejects(openWithAdapter(undefined, options), (error: unknown) => {
            assert.ok(error instanceof CheckpointError);
            assert.match(error.message, /base_model_name_or_path: expected a name or a path, got ".*if you trust it/);
            return true;
          });
        }
      }
      assert.deepEqual(requests, []);
    } finally {
      server.close();
    }
  });
});
