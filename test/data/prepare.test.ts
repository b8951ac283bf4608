import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { TokenDataset } from "../../src/data/dataset.js";
import { readDatasetInfo } from "../../src/data/dataset-info.js";
import { type PrepareOptions, prepareData } from "../../src/data/prepare.js";
import { parseShard, tokensToBytes } from "../../src/data/shard.js";
import { PIECE_BYTES } from "../../src/data/split-documents.js";
import { DataError, UsageError } from "../../src/errors.js";
import { RandomStream } from "../../src/util/random.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { smallTokenizer, ZSTD_THREE_DOCUMENTS, ZSTD_TWO_FRAMES } from "./support.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-prepare-"));
after(() => rmSync(dir, { recursive: true }));

const tokenizer = smallTokenizer();
const EOT = tokenizer.endOfText!;
let folders = 0;
const fresh = (name = "d") => join(dir, `${name}-${folders++}`);

function write(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function prepare(inputs: string[], options: Partial<PrepareOptions> = {}) {
  const out = options.out ?? fresh();
  const info = await prepareData(inputs, { tokenizer, valFraction: 0, workers: 0, ...options, out });
  const tokens = (split: "train" | "val") => {
    const shards = info.splits[split]?.shards.map((shard) => tokensToBytes(parseShard(readFileSync(join(out, shard)))));
    return new Uint16Array(Uint8Array.from(Buffer.concat(shards ?? [])).buffer);
  };
  return { out, info, train: tokens("train"), val: tokens("val") };
}

/** The documents that shards hold, as text. */
function documents(tokens: Uint16Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < tokens.length; ) {
    assert.equal(tokens[at], EOT, "a document begins");
    const next = tokens.indexOf(EOT, at + 1);
    const end = next < 0 ? tokens.length : next;
    texts.push(tokenizer.decode(tokens.subarray(at + 1, end)));
    at = end;
  }
  return texts;
}

/** English-looking documents of very different lengths, deterministic. */
function someDocuments(count: number, seed = 1): string[] {
  const random = new RandomStream(seed);
  const words = [
    "the",
    "then",
    "in",
    "an",
    "naïve",
    "“quote”",
    "日本語",
    "1234",
    "don't",
    "\n\n",
    "\t",
    "  ",
    "🙂",
    "rain",
  ];
  return Array.from({ length: count }, (_, i) => {
    const n = 1 + random.below(i % 10 === 0 ? 3000 : 60);
    return `Document ${i}: ${Array.from({ length: n }, () => words[random.below(words.length)]).join(" ")}.`;
  });
}

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12345\n`;

const SEPARATOR = "\n<|endoftext|>\n";

test("a text file becomes documents, each after an end-of-text token, and is read back", async () => {
  const docs = someDocuments(50);
  const { out, info, train } = await prepare([write("a.txt", docs.join(SEPARATOR) + SEPARATOR)]);
  assert.deepEqual(documents(train), docs);
  const bytes = docs.reduce((sum, doc) => sum + Buffer.byteLength(doc), 0);
  assert.deepEqual(info.splits, { train: { shards: ["train-00000.bin"], documents: 50, tokens: train.length, bytes } });
  assert.deepEqual(info, readDatasetInfo(out));
  assert.deepEqual(readdirSync(out).sort(), ["dataset.json", "tokenizer.json", "train-00000.bin"]);
  const data = await TokenDataset.open(out, { vocabSize: tokenizer.vocabSize });
  assert.equal(data.totalTokens, train.length);
  data.close();
});

test("text, CRLF, gzip, several gzip members, zstd, JSONL and a folder give the same tokens", async () => {
  const docs = ["The first.\nTwo lines.", "the second <|endoftext|> not alone", "  third, with space\n\n"];
  const text = docs.join(SEPARATOR);
  const half = Buffer.from(text).subarray(0, 20);
  const rest = Buffer.from(text).subarray(20);
  const jsonl = docs.map((doc) => JSON.stringify({ id: 1, text: doc, other: "x" })).join("\n");
  for (const [i, doc] of docs.entries()) write(`folder/${i}/${i}.md`, doc);
  const inputs = {
    text: write("same/a.txt", text),
    "byte order mark": write("same/b.txt", `\ufeff${text}`),
    "separator first, last and twice": write(
      "same/c.txt",
      `<|endoftext|>\n${docs.join(SEPARATOR + SEPARATOR.slice(1))}${SEPARATOR}`,
    ),
    gzip: write("same/a.txt.gz", gzipSync(text)),
    "gzip by content": write("same/a.dat", gzipSync(text)),
    "two members": write("same/two.txt.gz", Buffer.concat([gzipSync(half), gzipSync(rest)])),
    zstd: write("same/a.txt.zst", ZSTD_THREE_DOCUMENTS),
    jsonl: write("same/a.jsonl", jsonl),
    "jsonl, CRLF and blank lines": write("same/b.jsonl", `${jsonl.replaceAll("\n", "\r\n\r\n")}\r\n`),
    "jsonl.gz": write("same/a.jsonl.gz", gzipSync(`${jsonl}\n`)),
    "folder of one file a document": join(dir, "folder"),
  };
  const expected = Uint16Array.from(docs.flatMap((doc) => [EOT, ...tokenizer.encode(doc)]));
  for (const [name, path] of Object.entries(inputs)) {
    const { train, info } = await prepare([path]);
    assert.deepEqual(train, expected, name);
    assert.equal(info.splits.train.documents, 3, name);
  }
  const crlf = await prepare([write("crlf.txt", text.replaceAll("\n", "\r\n"))]);
  assert.deepEqual(
    documents(crlf.train),
    docs.map((doc) => doc.replaceAll("\n", "\r\n")),
  );
});

test("the output does not depend on the number of workers, nor on the shards", { skip: LIKE_OTHERS }, async () => {
  // Several batches of 1 MiB: documents cut in pieces, and pieces that begin a batch, on both sides of the split.
  const long = (seed: number) => someDocuments(700, seed).join("\n").repeat(2);
  const docs = [...someDocuments(600, 2), long(5), ...someDocuments(300, 3), long(6), "mid", long(7), long(8), "end"];
  const more = someDocuments(1500, 4);
  const inputs = [
    write("w/a.txt.gz", gzipSync(docs.join(SEPARATOR), { level: 1 })),
    write("w/b.jsonl", more.map((text) => JSON.stringify({ text })).join("\n")),
  ];
  const whole = await prepare(inputs, { valFraction: 0.5, workers: 0 });
  assert.equal(whole.info.settings.heldOut, "documents");
  const [train, val] = [documents(whole.train), documents(whole.val)];
  assert.deepEqual([...train, ...val].sort(), [...docs, ...more].sort());
  for (const side of [train, val]) assert.ok(side.some((doc) => doc.length > PIECE_BYTES));

  // Piece by piece or at once, the ids are the same.
  const longest = Uint16Array.from(tokenizer.encode(docs[600]!));
  const holder = train.includes(docs[600]!) ? whole.train : whole.val;
  assert.ok(Buffer.from(tokensToBytes(holder)).includes(Buffer.from(tokensToBytes(longest))));

  const runs = [];
  for (const workers of [1, 3]) runs.push(await prepare(inputs, { workers, valFraction: 0.5, shardTokens: 300_000 }));
  for (const run of runs) {
    assert.ok(run.info.splits.train.shards.length > 3);
    assert.deepEqual([run.train, run.val], [whole.train, whole.val]);
    assert.deepEqual(run.info, runs[0]!.info);
    for (const file of readdirSync(run.out)) {
      assert.ok(readFileSync(join(run.out, file)).equals(readFileSync(join(runs[0]!.out, file))), file);
    }
  }
});

test("a line of 100 MB streams through in little memory", { skip: !TESTING_ALL && "takes long" }, async () => {
  const program = `
    const { prepareData } = await import(${JSON.stringify(new URL("../../src/data/prepare.js", import.meta.url).href)});
    const { smallTokenizer } = await import(${JSON.stringify(new URL("./support.js", import.meta.url).href)});
    const before = process.resourceUsage().maxRSS;
    const info = await prepareData([process.argv[1]], { tokenizer: smallTokenizer(), out: process.argv[2], workers: 1, valFraction: 0 });
    console.log(JSON.stringify({ grew: process.resourceUsage().maxRSS - before, ...info.splits.train }));`;
  const line = Buffer.alloc(100_000_000, "the rain in Spain stays mainly in the plain, they say; ");
  const path = write("long.txt.gz", gzipSync(line, { level: 1 }));
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", path, fresh()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await once(child, "close");
  const { grew, documents: count, bytes } = JSON.parse(output);
  assert.equal(count, 1);
  assert.equal(bytes, line.length);
  // kB. Reading the line whole would take 100 MB as bytes and as much again as a string or ids.
  assert.ok(grew < 150_000, `grew by ${grew} kB`);
});

test("documents are held out by the hash of their text, in about the requested share", {
  skip: LIKE_OTHERS,
}, async () => {
  const docs = someDocuments(2000, 9);
  const path = write("split.txt", docs.join(SEPARATOR));
  const { train, val, info } = await prepare([path], { valFraction: 0.2 });
  const held = new Set(documents(val));
  assert.equal(held.size + documents(train).length, 2000);
  // Binomial: 400 ± 18.
  assert.ok(Math.abs(held.size - 400) < 5 * 18, `${held.size} held out`);
  assert.equal(info.splits.val!.documents, held.size);
  assert.equal(
    info.splits.train.bytes + info.splits.val!.bytes,
    docs.reduce((sum, doc) => sum + Buffer.byteLength(doc), 0),
  );

  // The same documents whatever surrounds them, also as JSONL; different ones with another seed.
  const jsonl = write(
    "split.jsonl",
    [...docs]
      .reverse()
      .map((text) => JSON.stringify({ text }))
      .join("\n"),
  );
  assert.deepEqual(new Set(documents((await prepare([jsonl], { valFraction: 0.2 })).val)), held);
  assert.notDeepEqual(new Set(documents((await prepare([path], { valFraction: 0.2, seed: 2 })).val)), held);
});

test("files named as held out are held out", async () => {
  const { train, val, info } = await prepare([write("t.txt", "train text")], {
    valFraction: undefined,
    valInputs: [write("v.txt", "held out text")],
  });
  assert.deepEqual([documents(train), documents(val)], [["train text"], ["held out text"]]);
  assert.equal(info.settings.heldOut, "files");
  assert.deepEqual(
    info.sources.map((s) => s.heldOut),
    [false, true],
  );
});

test("one long document is held out by its tail", { skip: LIKE_OTHERS }, async () => {
  const text = someDocuments(400, 7).join("\n");
  const whole = await prepare([write("book.txt", text)]);
  for (const seed of [1, 2, 3]) {
    const { train, val, info } = await prepare([join(dir, "book.txt")], { valFraction: 0.4, seed, shardTokens: 5000 });
    assert.equal(info.settings.heldOut, "tail");
    assert.deepEqual(Uint16Array.from([...train, ...val.slice(1)]), whole.train);
    assert.equal(val[0], EOT);
    assert.ok(Math.abs(val.length / whole.train.length - 0.4) < 0.001);
    const { train: t, val: v } = info.splits;
    assert.deepEqual([t.documents, v!.documents, t.tokens, v!.tokens], [1, 1, train.length, val.length]);
    assert.equal(v!.bytes, tokenizer.decodeBytes(val.slice(1)).length);
    assert.equal(t.bytes + v!.bytes, Buffer.byteLength(text));
  }
});

test("zstd of several frames and blocks, with and without checksums", async () => {
  const { train } = await prepare([write("frames.zst", ZSTD_TWO_FRAMES)]);
  const text = `${"the rain in Spain stays mainly in the plain, they say; ".repeat(8000)}${"and then ".repeat(30000)}`;
  assert.ok(documents(train).join() === text);
});

test("a custom separator", async () => {
  const { train } = await prepare([write("own.txt", "one\n\n\ntwo <|endoftext|>\n<|endoftext|>\n\n\nthree")], {
    separator: "\n\n\n",
  });
  assert.deepEqual(documents(train), ["one", "two <|endoftext|>\n<|endoftext|>", "three"]);
});

test("invalid UTF-8 is replaced, blank documents are left out, unknown files are skipped; all are counted", async () => {
  write("odd/a.txt", Buffer.from([0x61, 0xff, 0x62, 0xc3, 0x0a, 0xef, 0xbf, 0xbd]));
  write("odd/b.txt", " \n\t\n");
  write("odd/c.jpg", "no text");
  write("odd/.hidden.txt", "hidden");
  write("odd/d.jsonl", '{"text":"half \\ud83d"}\n');
  const { train, info } = await prepare([join(dir, "odd")]);
  assert.deepEqual(documents(train), ["a\ufffdb\ufffd\n\ufffd", "half \ufffd"]);
  assert.deepEqual([info.replaced, info.empty, info.skippedFiles], [3, 1, 1]);
});

test("damaged and empty inputs are DataErrors that name the file", async () => {
  const gz = gzipSync(someDocuments(100).join("\n"));
  const flipped = Buffer.from(gz);
  flipped[gz.length >> 1]! ^= 0x55;
  const cases: [string, string | Uint8Array, RegExp][] = [
    ["cut.txt.gz", gz.subarray(0, gz.length - 20), /whole gzip data/],
    ["flip.txt.gz", flipped, /whole gzip data/],
    ["not.txt.gz", "plain text", /whole gzip data/],
    ["cut.txt.zst", ZSTD_THREE_DOCUMENTS.subarray(0, 60), /whole zstd data/],
    ["not.txt.zst", "plain text that is not zstd", /whole zstd data/],
    ["empty.txt", "", /nothing but white space/],
    ["blank.txt", " \n\n<|endoftext|>\n", /nothing but white space/],
    ["utf16.txt", Buffer.from("\ufefftext", "utf16le"), /UTF-16/],
    ["lfs.txt", LFS_POINTER, /got a Git LFS pointer\. Fetch the file itself with `git lfs pull`/],
    ["lfs.jsonl", LFS_POINTER, /got a Git LFS pointer/],
    ["lfs.txt.gz", gzipSync(LFS_POINTER), /got a Git LFS pointer/],
    ["page.txt", "\n<!DOCTYPE html>\n<html>", /got a web page \(HTML\)/],
    ["page.jsonl", '<html lang="en">', /got a web page \(HTML\)/],
    ["annex.txt", "/annex/objects/SHA256E-s12--0123\n", /got a git-annex pointer/],
    ["model.gguf", Buffer.from("GGUF\x03\0\0\0"), /got a GGUF model/],
    ["model.safetensors", Buffer.from('\x10\0\0\0\0\0\0\0{"a":1}'), /got binary data/],
    ["bad.jsonl", '{"text":"a"}\n{"text":', /line 2/],
    ["other.jsonl", '\n{"body":"a"}', /line 2: expected an object with a text in "text", got the fields body\./],
    ["number.jsonl", '{"text":3}', /got a number/],
    ["list.jsonl", '["a"]', /line 1: expected a JSON object, got a list/],
  ];
  for (const workers of [0, 1]) {
    // A worker reads by the same code: some cases show that it passes errors on.
    const some = workers === 0 || TESTING_ALL ? cases : cases.filter((_, i) => i % 5 === 0);
    for (const [name, content, message] of some) {
      const path = write(`bad/${name}`, content);
      const out = fresh();
      await assert.rejects(
        prepare([path], { out, workers }),
        (e) => e instanceof DataError && message.test(e.message) && e.message.includes(path),
        name,
      );
      assert.deepEqual(
        readdirSync(dir).filter((file) => file.includes(basename(out))),
        [],
        "nothing is left",
      );
    }
  }
  await assert.rejects(prepare([join(dir, "nowhere.txt")]), DataError);
  await assert.rejects(prepare([write("only/x.jpg", "") && join(dir, "only")]), /in folders: \.txt/);
  await assert.rejects(prepare([write("x.json", "[]")]), UsageError);
});

test("a pipe is read like a file, compressed or not", { skip: process.platform === "win32" }, async (t) => {
  const docs = someDocuments(20);
  const text = docs.join(SEPARATOR);
  for (const [name, content] of Object.entries({ plain: text, gzip: gzipSync(text) })) {
    const [fifo, path] = [join(dir, `fifo-${name}`), write(`fifo-${name}.content`, content)];
    if (spawnSync("mkfifo", [fifo]).status !== 0) return t.skip("no mkfifo");
    // In two pieces, the first of a single byte.
    const writer = spawn("sh", ["-c", '{ head -c 1 "$0"; sleep 0.1; tail -c +2 "$0"; } > "$1"', path, fifo]);
    const closed = once(writer, "close");
    const { train } = await prepare([fifo]);
    assert.deepEqual(documents(train), docs);
    await closed;
  }
});

test("wrong options are UsageErrors; a folder in use is left alone", async () => {
  const path = write("fine.txt", "fine");
  const wrong: Partial<PrepareOptions>[] = [
    { valFraction: 1 },
    { valFraction: -0.1 },
    { valFraction: Number.NaN },
    { valFraction: 0.5, valInputs: [path] },
    { shardTokens: 0 },
    { shardTokens: 2 ** 31 },
    { workers: -1 },
    { workers: 1e9 },
    { separator: "" },
  ];
  for (const options of wrong) await assert.rejects(prepare([path], options), UsageError, JSON.stringify(options));

  const out = fresh();
  await prepare([path], { out });
  await assert.rejects(prepare([path], { out }), /Replace it with --overwrite/);
  const { train } = await prepare([write("new.txt", "new")], { out, overwrite: true });
  assert.deepEqual(documents(train), ["new"]);
  await assert.rejects(prepare([path], { out: join(dir, "same"), overwrite: true }), /one with other files/);
  assert.ok(existsSync(join(dir, "same/a.txt")));
});

test("an aborted run leaves nothing, a killed one nothing that looks like a data set", {
  skip: LIKE_OTHERS,
}, async () => {
  const path = write("big.txt.gz", gzipSync(someDocuments(1000, 11).join(SEPARATOR).repeat(8), { level: 1 }));
  const out = fresh("aborted");
  const controller = new AbortController();
  const onProgress = ({ tokens }: { tokens: number }) => tokens > 0 && controller.abort();
  await assert.rejects(prepare([path], { out, workers: 1, signal: controller.signal, onProgress }), {
    name: "AbortError",
  });
  assert.ok(readdirSync(dir).every((name) => !name.includes("aborted")));

  const killed = fresh("killed");
  const program = `
    const { prepareData } = await import(${JSON.stringify(new URL("../../src/data/prepare.js", import.meta.url).href)});
    const { smallTokenizer } = await import(${JSON.stringify(new URL("./support.js", import.meta.url).href)});
    await prepareData([process.argv[1]], { tokenizer: smallTokenizer(), out: process.argv[2], workers: 1, shardTokens: 100000,
      onProgress: ({ tokens }) => { if (tokens > 500000) process.kill(process.pid, "SIGKILL"); } });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", path, killed], {
    stdio: "inherit",
  });
  const [, signal] = await once(child, "close");
  assert.equal(signal, "SIGKILL");
  assert.ok(!existsSync(killed));
  const remains = () => readdirSync(dir).filter((name) => name.includes(basename(killed)));
  assert.equal(remains().length, 1);
  await assert.rejects(TokenDataset.open(killed), DataError);
  await prepare([write("small.txt", "small")], { out: killed });
  assert.deepEqual(remains(), [basename(killed)], "the next run to the same place tidies up");
});

test("a data set with a missing shard is refused", async () => {
  const { out, info } = await prepare([write("many.txt", someDocuments(300).join(SEPARATOR))], { shardTokens: 3000 });
  assert.ok(info.splits.train.shards.length > 2);
  rmSync(join(out, info.splits.train.shards[1]!));
  await assert.rejects(TokenDataset.open(out), /Shards are missing/);
  writeFileSync(join(out, "dataset.json"), "{}");
  await assert.rejects(TokenDataset.open(out), /dataset\.json: format: expected "gpt2-ts dataset"/);
});
