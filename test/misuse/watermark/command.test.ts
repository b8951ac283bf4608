import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { watermarkOf } from "../../../src/cli/watermark.js";
import { UsageError } from "../../../src/errors.js";
import { gpt2 } from "../../cli/run.js";

let folder: string;
let story: string;
const at = (name: string) => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpt2-watermark-"));
  await writeFile(at("key.txt"), "a secret\n");
  await writeFile(at("red.json"), '{ "scheme": "red-green", "delta": 4, "key": "a secret" }');
  const run = await gpt2([
    "It was",
    "-n",
    "60",
    "--no-echo",
    "--seed",
    "1",
    "--watermark",
    "gumbel",
    "--watermark-key-file",
    at("key.txt"),
  ]);
  assert.equal(run.status, 0, run.stderr);
  story = run.stdout;
  await writeFile(at("story.txt"), story);
});
after(() => rm(folder, { recursive: true, force: true }));

test("a marked text is found by its key, and not by another", async () => {
  const found = await gpt2(["watermark", at("story.txt"), "--key-file", at("key.txt")]);
  assert.equal(found.status, 0, found.stderr);
  const [, pValue] = found.stdout.match(
    /^the mark of this key is in the text\np-value {2}(\S+)\ntokens {3}\d+ scored of \d+/,
  )!;
  assert.ok(Number(pValue) < 1e-3, found.stdout);
  const other = await gpt2(["watermark", "--json"], story, { GPT2_WATERMARK_KEY: "another" });
  const report = JSON.parse(other.stdout) as { verdict: string; pValue: number };
  assert.equal(report.verdict, "not-found");
  assert.ok(report.pValue > 0.01);
});

test("several files are a line of JSON each, with the options of a file", async () => {
  const run = await gpt2(["watermark", at("story.txt"), at("story.txt"), "--config", at("red.json"), "--json"]);
  const lines = run.stdout.split("\n").slice(0, -1);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as { file: string; scheme: string }).map(({ file, scheme }) => [file, scheme]),
    [at("story.txt"), at("story.txt")].map((file) => [file, "red-green"]),
  );
});

test("a call without a key ends with status 2 and says where keys come from", async () => {
  const { status, stderr } = await gpt2(["a", "-n", "1", "--watermark", "gumbel"]);
  assert.equal(status, 2);
  assert.match(stderr, /expected a key, got none\. Give --watermark-key-file FILE, --watermark-key KEY/);
});

test("flags give one watermark: scheme and key over those of the file", () => {
  assert.deepEqual(watermarkOf({ config: at("red.json") }, ""), { scheme: "red-green", delta: 4, key: "a secret" });
  assert.deepEqual(watermarkOf({ config: at("red.json"), key: "b" }, ""), { scheme: "red-green", delta: 4, key: "b" });
  assert.deepEqual(watermarkOf({ keyFile: at("key.txt") }, ""), { key: "a secret" });
  for (const [flags, message] of [
    [{ key: "1", keyFile: "x" }, /--key: expected a key or the file of one, got both/],
    [{ keyFile: at("none.txt") }, /--key-file: expected a file that can be read, got no such file/],
    [{ config: at("story.txt") }, /--config .*: expected JSON, got text that is not JSON/],
    [{ config: at("red.json"), scheme: "gumbel" as const }, /watermark gumbel: .*got delta/],
  ] as const) {
    assert.throws(
      () => watermarkOf(flags, ""),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    );
  }
});
