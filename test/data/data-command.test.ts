import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { DatasetInfo } from "../../src/data/dataset-info.js";
import { parseShard } from "../../src/data/shard.js";
import { loadTokenizer } from "../../src/tokenizer/files.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { writeTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { packageRoot } from "../../src/util/package-root.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { smallTokenizer } from "./support.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-data-command-"));
after(() => rmSync(dir, { recursive: true }));

const program = `
  import { Command } from "commander";
  const { registerData } = await import(${JSON.stringify(new URL("../../src/cli/commands/data.js", import.meta.url).href)});
  const program = new Command("gpt2");
  registerData(program);
  await program.parseAsync(["node", "gpt2", ...process.argv.slice(1)]);`;

/** `gpt2 data …` in a new process. */
function start(args: string[]) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", "data", ...args], {
    cwd: packageRoot(),
  });
  const result = { code: -1, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    result.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    result.stderr += chunk;
  });
  const done = once(child, "close").then(([code]) => ({ ...result, code: code as number }));
  return { child, done };
}

test("text in, shards out, and a summary", async () => {
  const text = join(dir, "a.txt");
  writeFileSync(text, "Hello world\n<|endoftext|>\nHello again");
  const out = join(dir, "plain");
  const { code, stdout, stderr } = await start([text, "--out", out, "--val-fraction", "0"]).done;
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(
    stdout,
    /^train +6 tokens of 2 documents, 22 B, in 1 shard\nval +none\nmade .*vocabulary 50,257 \(gpt2\)/,
  );
  const gpt2 = await gpt2Tokenizer();
  const expected = [50256, ...gpt2.encode("Hello world"), 50256, ...gpt2.encode("Hello again")];
  assert.deepEqual([...parseShard(readFileSync(join(out, "train-00000.bin")))], expected);
  const copy = await loadTokenizer(out);
  assert.deepEqual([copy.vocabSize, copy.endOfText], [50257, 50256], "the tokenizer lies beside the shards");
});

test("every option reaches the library", { skip: LIKE_OTHERS }, async () => {
  writeFileSync(join(dir, "tokenizer.json"), writeTokenizerJson(smallTokenizer().vocabulary));
  writeFileSync(join(dir, "b.txt"), "one\n\ntwo");
  writeFileSync(join(dir, "b.jsonl"), '{"body":"three"}\n');
  writeFileSync(join(dir, "v.txt"), "four\n\nfive");
  const out = join(dir, "options");
  const args = [join(dir, "b.txt"), join(dir, "b.jsonl"), "--val", join(dir, "v.txt"), "--out", out, "--tokenizer"];
  args.push(join(dir, "tokenizer.json"), "--shard-tokens", "0.005k", "--workers", "1", "--field", "body");
  args.push("--split-on", "\\n\\n", "--seed", "5", "--json");
  for (const more of [[], ["--overwrite"]]) {
    const { code, stdout, stderr } = await start([...args, ...more]).done;
    assert.deepEqual([code, stderr], [0, ""]);
    const info = JSON.parse(stdout) as DatasetInfo & { out: string };
    assert.equal(info.out, out);
    assert.deepEqual([info.splits.train.documents, info.splits.val!.documents], [3, 2]);
    assert.ok(info.splits.train.shards.length > 1);
    assert.equal(info.tokenizer.vocabSize, smallTokenizer().vocabSize);
    const { heldOut, seed, shardTokens, textField, separator } = info.settings;
    assert.deepEqual(
      { heldOut, seed, shardTokens, textField, separator },
      {
        heldOut: "files",
        seed: 5,
        shardTokens: 5,
        textField: "body",
        separator: "\n\n",
      },
    );
  }
  const again = await start(args).done;
  assert.notEqual(again.code, 0);
  assert.match(again.stderr, /--overwrite/);
});

test("wrong numbers are refused", async () => {
  const { code, stderr } = await start([join(dir, "a.txt"), "--out", join(dir, "no"), "--workers", "two"]).done;
  assert.equal(code, 1);
  assert.match(stderr, /--workers.*Not a whole number/);
});

test("Ctrl-C stops and leaves nothing", { skip: LIKE_OTHERS }, async () => {
  const big = join(dir, "big.txt.gz");
  writeFileSync(
    big,
    gzipSync(Buffer.alloc(200_000_000, "The rain in Spain stays mainly in the plain. "), { level: 1 }),
  );
  const out = join(dir, "stopped");
  const { child, done } = start([big, "--out", out, "--progress", "--workers", "1"]);
  await once(child.stderr, "data");
  assert.equal(readdirSync(dir).filter((name) => name.includes("stopped")).length, 1, "work is under way");
  child.kill("SIGINT");
  const { code, stderr } = await done;
  assert.equal(code, 130);
  assert.match(stderr, /^data .*stopped; nothing was written\n$/s);
  assert.ok(!existsSync(out));
  assert.ok(readdirSync(dir).every((name) => !name.includes("stopped")));
});
