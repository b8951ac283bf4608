import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DataError, UsageError } from "../../src/errors.js";
import type { GeneratedToken } from "../../src/generate/generate.js";
import { buildIndex } from "../../src/misuse/trace/build-index.js";
import { LiveTrace, traceGeneration } from "../../src/misuse/trace/live-trace.js";
import { SuffixSearch } from "../../src/misuse/trace/search.js";
import { TokenIndex } from "../../src/misuse/trace/token-index.js";
import { traceText } from "../../src/misuse/trace/trace.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { gpt2 } from "../cli/run.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

const FIRST = "The quick brown fox jumps over the lazy dog. Nobody saw it.\n";
const SECOND = "A quick brown fox jumps over a fence — and is gone.\n";
const THIRD = "Elsewhere the lazy dog sleeps on the mat.\n";

let folder: string;
let index: TokenIndex;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpt2-trace-"));
  await writeFile(join(folder, "a.txt"), `${FIRST}<|endoftext|>\n${SECOND}`);
  await writeFile(join(folder, "b.txt"), THIRD);
  await buildIndex([join(folder, "a.txt"), join(folder, "b.txt")], {
    out: join(folder, "index"),
    tokenizer: await gpt2Tokenizer(),
    workers: 0,
  });
  index = await TokenIndex.open(join(folder, "index"));
});

after(async () => {
  index.close();
  await rm(folder, { recursive: true, force: true });
});

test("an index has the corpus, its files and its documents", () => {
  const { documents, tokens, files, bytes } = index.info;
  assert.equal(documents, 3);
  assert.equal(
    files.reduce((sum, file) => sum + file.tokens, 0),
    tokens,
  );
  assert.deepEqual(
    files.map((file) => file.documents),
    [2, 1],
  );
  assert.equal(bytes, Buffer.byteLength(FIRST.trimEnd() + SECOND + THIRD));
  const last = index.documentAt(tokens - 1);
  assert.deepEqual([last.path, last.number, last.end], [join(folder, "b.txt"), 0, tokens]);
  assert.equal(index.text(last.start, last.end), THIRD);
  const second = index.documentAt(last.start - 2);
  assert.deepEqual([second.number, index.text(second.start, second.end)], [1, SECOND]);
});

test("an index replaces an index or nothing", { skip: LIKE_OTHERS }, async () => {
  const [other, file] = [join(folder, "other"), join(folder, "a.txt")];
  await mkdir(other);
  await writeFile(join(other, "precious"), "x");
  for (const out of [other, file]) {
    const made = buildIndex([file], { out, tokenizer: await gpt2Tokenizer(), workers: 0 });
    await assert.rejects(made, { name: "UsageError", message: /a new folder, or an index to replace/ });
  }
  assert.equal(await readFile(join(other, "precious"), "utf8"), "x");
  const many = buildIndex([file], { out: join(folder, "many"), tokenizer: await gpt2Tokenizer(), workers: 1e9 });
  await assert.rejects(many, { name: "UsageError", message: /workers: expected a number from 0 to 1024/ });
  const out = join(folder, "again");
  for (let i = 0; i < 2; i++) await buildIndex([file], { out, tokenizer: await gpt2Tokenizer(), workers: 0 });
});

test("spans of a text, with their positions", () => {
  const text = "I saw that quick brown fox jumps over the lazy dog. Nobody slept on the mat.";
  const { spans, covered } = traceText(index, text, { minTokens: 3, share: 1 });
  const found = spans.map((span) => [span.text, span.count]);
  assert.deepEqual(
    new Map(found as [string, number][]),
    new Map([
      [" quick brown fox jumps over the lazy dog.", 1],
      [" on the mat.", 1],
    ]),
  );
  for (const { characters, text: own, places, count } of spans) {
    assert.equal(text.slice(...characters), own);
    assert.equal(places.length, count);
    for (const { document, offset, before: lead, after: rest } of places) {
      const whole = index.text(document.start, document.end);
      assert.ok(whole.includes(lead + own + rest));
      assert.ok(index.text(document.start + offset, document.end).startsWith(own));
    }
  }
  assert.ok(covered > 0.4 && covered < 1);
});

test("a run in several documents is counted in all, and never reaches from one into the next", () => {
  const [span] = traceText(index, " quick brown fox jumps over", { minTokens: 2, share: 1 }).spans;
  assert.deepEqual([span!.count, span!.places.map(({ document }) => document.number)], [2, [0, 1]]);
  assert.deepEqual(traceText(index, "saw it.\nA quick", { minTokens: 4, share: 1 }).spans, []);
});

test("texts without tokens, of half characters, and options out of range", async () => {
  assert.deepEqual(traceText(index, "").spans, []);
  assert.equal(traceText(index, "a fence — and 🦊 is gone", { minTokens: 2, share: 1 }).spans[0]!.text, " fence — and");
  for (const wrong of [{ minTokens: 0 }, { share: 0 }, { share: 1.5 }, { places: -1 }]) {
    assert.throws(() => traceText(index, "x", wrong), UsageError);
  }
});

test("a text traced during generation has the tokens of every run that is long enough, and no others", async () => {
  const tokenizer = await gpt2Tokenizer();
  const search = new SuffixSearch(index);
  const ids = tokenizer.encode("So the quick brown fox jumps over the lazy cat, and a fence — and is the lazy dog.");
  const minTokens = 4;
  const live = new LiveTrace<number>(search, minTokens);
  const known = Array.from(ids).flatMap((id, i) => live.push(id, i));
  known.push(...live.end());
  assert.deepEqual(
    known.map(({ token }) => token),
    Array.from(ids.keys()),
  );
  const expected = new Array<boolean>(ids.length).fill(false);
  for (let start = 0; start < ids.length; start++) {
    for (let end = start + minTokens; end <= ids.length; end++) {
      const { from, to } = search.find(ids, start, end);
      if (to > from) expected.fill(true, start, end);
    }
  }
  assert.ok(expected.includes(true) && expected.includes(false));
  assert.deepEqual(
    known.map(({ inSpan }) => inSpan),
    expected,
  );
});

test("samples are traced independently", async () => {
  const tokenizer = await gpt2Tokenizer();
  const ids = tokenizer.encode(" the lazy dog sleeps");
  async function* tokens(): AsyncGenerator<GeneratedToken> {
    for (const [i, token] of ids.entries()) {
      const end = i === ids.length - 1 ? { finishReason: "length" as const } : {};
      yield { token, text: "", logprob: 0, sample: 0, ...end };
      yield { token: i % 2 === 0 ? token : 0, text: "", logprob: 0, sample: 1, ...end };
    }
  }
  const marks: boolean[][] = [[], []];
  for await (const { sample, inSpan } of traceGeneration(index, tokens(), { minTokens: 3 }))
    marks[sample]!.push(inSpan);
  assert.deepEqual(
    marks,
    [ids, ids].map((of, sample) => Array.from(of, () => sample === 0)),
  );
});

test("damaged and foreign indexes are refused by name", { skip: LIKE_OTHERS }, async () => {
  await assert.rejects(TokenIndex.open(join(folder, "none")), DataError);
  await writeFile(join(folder, "index.json"), "{}");
  await assert.rejects(TokenIndex.open(folder), DataError);
  const damaged = join(folder, "damaged");
  await buildIndex([join(folder, "b.txt")], { out: damaged, tokenizer: await gpt2Tokenizer(), workers: 0 });
  const suffixes = join(damaged, "suffixes.bin");
  const { size } = await stat(suffixes);
  await truncate(suffixes, size - 4);
  await assert.rejects(TokenIndex.open(damaged), DataError);
  await writeFile(suffixes, Buffer.alloc(size, 0xff));
  const open = await TokenIndex.open(damaged);
  assert.throws(() => traceText(open, "the lazy dog"), DataError);
  open.close();
});

test("gpt2 index, trace and generate --trace", async () => {
  const out = join(folder, "cli.index");
  const corpus = [join(folder, "a.txt"), join(folder, "b.txt")];
  const made = await gpt2(["index", ...corpus, "--out", out, "--json"]);
  assert.equal(made.status, 0, made.stderr);
  assert.equal(JSON.parse(made.stdout).documents, 3);
  const again = await gpt2(["index", ...corpus, "--out", out]);
  assert.equal(again.status, 2);
  const found = await gpt2(
    ["trace", "--index", out, "--share", "1", "--min-tokens", "2"],
    "Elsewhere the lazy dog sleeps.",
  );
  assert.equal(found.status, 0, found.stderr);
  assert.match(
    found.stdout,
    /Elsewhere the lazy dog sleeps\n {2}\d+ tokens, 1 place\n {2}.*b\.txt, document 1, token 1:/,
  );
  const generated = await gpt2(["Elsewhere", "-n", "8", "--seed", "1", "--trace", out, "--json"]);
  assert.equal(generated.status, 0, generated.stderr);
  assert.deepEqual(JSON.parse(generated.stdout).spans, []);
  const other = join(folder, "other.index");
  assert.equal((await gpt2(["index", ...corpus, "--out", other, "--tokenizer", "gpt2"])).status, 0);
  const foreign = await gpt2(["Elsewhere", "-n", "8", "--trace", other]);
  assert.equal(foreign.status, 2);
  assert.match(foreign.stderr, /made with the model's tokenizer/);
});

test("the same corpus gives the same index", { skip: LIKE_OTHERS }, async () => {
  const out = join(folder, "twice");
  await buildIndex([join(folder, "a.txt"), join(folder, "b.txt")], {
    out,
    tokenizer: await gpt2Tokenizer(),
    workers: 2,
  });
  for (const name of ["tokens.bin", "suffixes.bin", "documents.bin", "index.json"]) {
    assert.ok((await readFile(join(out, name))).equals(await readFile(join(folder, "index", name))), name);
  }
});
