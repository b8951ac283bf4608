import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { loadTokenizer } from "../../src/tokenizer/files.js";
import { trainTokenizer } from "../../src/tokenizer/train.js";
import { readChapters } from "../tokenizer/support.js";
import { gpt2 } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-ts-tokenizer-cli-"));
after(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
const chapters = readChapters().slice(0, 3);

describe("gpt2 tokenizer train", () => {
  it("trains the library's tokenizer on text, gzip and JSONL", async () => {
    writeFileSync(path("a.txt"), `${chapters[0]}\n<|endoftext|>\n`);
    writeFileSync(path("b.txt.gz"), gzipSync(chapters[1]!));
    writeFileSync(path("c.jsonl"), `${JSON.stringify({ body: chapters[2] })}\n`);
    const inputs = ["a.txt", "b.txt.gz", "c.jsonl"].map(path);
    const args = ["tokenizer", "train", ...inputs, "--vocab-size", "700", "--field", "body", "--out", path("made")];
    const { stdout, stderr, status } = await gpt2([...args, "--json"]);
    assert.deepEqual([stderr, status], ["", 0]);
    const made = JSON.parse(stdout) as { vocabSize: number; bytes: number; bytesPerToken: number };
    assert.equal(made.vocabSize, 700);
    assert.equal(made.bytes, Buffer.byteLength(chapters.join("")));

    const expected = await trainTokenizer(chapters, { vocabSize: 700 });
    const tokenizer = await loadTokenizer(path("made"));
    assert.deepEqual(tokenizer.vocabulary, expected.vocabulary);
    const tokens = chapters.reduce((sum, chapter) => sum + tokenizer.encode(chapter).length, 0);
    assert.equal(made.bytesPerToken, made.bytes / tokens);
  });

  it("replaces a tokenizer only with --overwrite", async () => {
    const args = ["tokenizer", "train", path("a.txt"), "-v", "300", "-o", path("made")];
    const refused = await gpt2(args);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /holds tokenizer\.json\. Add --overwrite/);
    const done = await gpt2([...args, "--overwrite", "--special", "<|a|>", "<|b|>"]);
    assert.match(done.stdout, /^read .* distinct words\nmade .*: 300 tokens, \d\.\d\d bytes per token/);
    assert.deepEqual([...(await loadTokenizer(path("made"))).specialTokens.keys()], ["<|a|>", "<|b|>"]);
  });

  it("reports a text too short for the vocabulary, and shows progress on demand", async () => {
    writeFileSync(path("short.txt"), "abab abab");
    const { stdout, stderr } = await gpt2([
      "tokenizer",
      "train",
      path("short.txt"),
      "-v",
      "5000",
      "-o",
      path("short"),
      "--progress",
    ]);
    assert.match(stdout, /note {2}fewer than 5,000/);
    assert.match(stderr, /merging/);
  });

  it("reports wrong calls", async () => {
    const run = async (...args: string[]): Promise<string> => (await gpt2(["tokenizer", "train", ...args])).stderr;
    assert.match(await run(path("none.txt"), "-v", "300", "-o", path("x")), /none\.txt/);
    assert.match(
      await run(path("a.txt"), "-v", "30", "-o", path("x")),
      /vocabSize: expected an integer of at least 257/,
    );
    assert.match(await run(path("a.txt"), "-v", "many", "-o", path("x")), /Not a whole number/);
    assert.match(await run(path("c.jsonl"), "-v", "300", "-o", path("x")), /c\.jsonl, line 1: .*"text"/);
  });
});

describe("gpt2 tokenize", () => {
  it("shows each token with its id", async () => {
    const { stdout, status } = await gpt2(["tokenize", "Hi", "é", "👩"]);
    assert.equal(status, 0);
    const lines = ['17250  "Hi"', '38251  " é"', "50169  <20 f0 9f 91>", "  102  <a9>"];
    assert.equal(stdout, `${lines.join("\n")}\n4 tokens, 10 bytes, 2.50 bytes per token\n`);
  });

  it("prints ids, counts and JSON; special tokens only with --special", async () => {
    const text = "a<|endoftext|>";
    assert.equal((await gpt2(["tokenize", "--ids", text])).stdout, "64 27 91 437 1659 5239 91 29\n");
    assert.equal((await gpt2(["tokenize", "--ids", "--special"], text)).stdout, "64 50256\n");
    assert.equal((await gpt2(["tokenize", "--count"], text)).stdout, "8\n");
    const { stdout } = await gpt2(["tokenize", "--json", "é"]);
    assert.deepEqual(JSON.parse(stdout), [{ id: 2634, text: "é", bytes: [0xc3, 0xa9] }]);
  });

  it("decodes ids to the exact text", async () => {
    const text = `${chapters[0]}\n\n  `;
    writeFileSync(path("text.txt"), text);
    const { stdout: ids } = await gpt2(["tokenize", "--ids", "--file", path("text.txt"), "-t", path("short")]);
    const { stdout } = await gpt2(["tokenize", "--decode", "-t", path("short")], ids);
    assert.equal(stdout, readFileSync(path("text.txt"), "utf8"));
    assert.equal((await gpt2(["tokenize", "-d", "15496", "11", "995"])).stdout, "Hello, world");
  });

  it("reports wrong calls", async () => {
    assert.match((await gpt2(["tokenize", "-d", "99999"])).stderr, /expected an id from 0 to 50256, got 99999/);
    assert.match((await gpt2(["tokenize", "-t", path("nothing"), "x"])).stderr, /nothing: expected tokenizer\.json/);
    assert.match((await gpt2(["tokenize", "-f", path("nothing")])).stderr, /nothing: expected a text file/);
  });
});
