/** Settings, results and keys in files by others: a file that is not text, or not JSON, is named for what it is. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readSmallJson, readSmallText } from "../../src/data/small-file.js";
import { DataError, UsageError } from "../../src/errors.js";
import { gpt2 } from "../cli/run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-small-file-"));
after(() => rmSync(dir, { recursive: true }));
const what = { expected: "settings" };

const POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
const FILES: readonly (readonly [name: string, content: string | Uint8Array, message: RegExp])[] = [
  ["pointer", POINTER, /expected settings, got a Git LFS pointer\. Fetch the file itself/],
  ["page", "<!DOCTYPE html><html></html>", /got a web page \(HTML\)/],
  ["utf16", Buffer.from("\ufeff{}", "utf16le"), /got UTF-16 text\. Convert it first/],
  ["binary", Uint8Array.of(1, 0, 2), /got binary data/],
  ["latin1", Uint8Array.of(0x22, 0xe9, 0x22), /got a text that is not UTF-8/],
  ["empty", "", /got an empty file/],
  ["cut", '{"a":', /got no JSON: /],
  ["deep", "[".repeat(200_000) + "]".repeat(200_000), /^(?!.*call stack)/],
];

describe("a small file", () => {
  for (const [name, content, message] of FILES) {
    it(`is named for what it is: ${name}`, () => {
      const path = join(dir, name);
      writeFileSync(path, content);
      let error: unknown;
      try {
        readSmallJson(path, what, (_, value: unknown) => value);
      } catch (caught) {
        error = caught;
      }
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(`reading ${path}: `));
    });
  }

  it("that can't be read gives an error of the caller's class", () => {
    const missing = { ...what, op: "--config x", errorClass: UsageError };
    assert.throws(() => readSmallText(join(dir, "missing"), missing), {
      name: "UsageError",
      message: "--config x: expected settings, got no such file. Check the path",
    });
    assert.throws(() => readSmallText(dir, what), { name: "DataError", message: /got a folder/ });
  });

  it("has no byte order mark", () => {
    writeFileSync(join(dir, "mark"), "\ufeff{}");
    assert.deepEqual(readSmallJson(join(dir, "mark"), what), {});
    assert.equal(readSmallText(join(dir, "mark"), what), "{}");
  });

  it("without an end is not read forever", { skip: !existsSync("/dev/zero") }, () => {
    assert.throws(() => readSmallText("/dev/zero", what), { name: "DataError", message: /more than \d+ bytes/ });
  });
});

/** Options that take such a file, with the rest of the call. */
const CALLS: readonly (readonly [option: string, call: (path: string) => string[]])[] = [
  ["watermark --key-file", (path) => ["watermark", "--text", "a text", "--key-file", path]],
  ["watermark --config", (path) => ["watermark", "--text", "a text", "--config", path]],
  ["card --about", (path) => ["card", "--about", path]],
  ["card --results", (path) => ["card", "--results", path]],
  ["detect --calibration", (path) => ["detect", join(dir, "text"), "--calibration", path]],
  ["detect --classifier", (path) => ["detect", join(dir, "text"), "--classifier", path]],
  ["serve --api-key-file", (path) => ["serve", "--api-key-file", path, "--port", "0"]],
  ["--template", (path) => ["a text", "-n", "1", "--template", path]],
  ["trace --index", (path) => ["trace", "a text", "--index", path]],
];

describe("the command line names what was given instead of a small file", () => {
  writeFileSync(join(dir, "text"), "a text");
  for (const [option, call] of CALLS) {
    it(option, async () => {
      const folder = join(dir, option.replaceAll(/\W+/g, "-"));
      mkdirSync(folder);
      for (const [content, expected] of [
        [POINTER, /^gpt2: .*got a Git LFS pointer\. /],
        [
          undefined,
          /^gpt2: .*(got (no such file|a path that runs through a file|nothing there|no such path)|expected .*, got \/)/,
        ],
      ] as const) {
        // An index is a folder.
        const path = option.startsWith("trace") ? folder : join(folder, "file");
        const file = option.startsWith("trace") ? join(folder, "index.json") : path;
        rmSync(file, { force: true });
        if (content !== undefined) writeFileSync(file, content);
        const { status, stderr } = await gpt2(call(path));
        assert.ok(status === 1 || status === 2, `${status}: ${stderr}`);
        assert.match(stderr, expected);
        assert.equal(stderr.trim().split("\n").length, 1, stderr);
      }
    });
  }
});
