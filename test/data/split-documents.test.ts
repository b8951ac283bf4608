import assert from "node:assert/strict";
import { test } from "node:test";
import { safeCut } from "../../src/data/safe-cut.js";
import { DocumentSplitter, PIECE_BYTES } from "../../src/data/split-documents.js";
import { RandomStream } from "../../src/util/random.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { smallTokenizer } from "./support.js";

const ROUNDS = TESTING_ALL ? 3000 : 800;

const EOT = "<|endoftext|>";

/** Pieces of a text that arrives in chunks of the lengths given, the last repeated. */
function pieces(bytes: Uint8Array, lengths: () => number, separator?: string): { text: Buffer; begins: boolean }[] {
  const out: { text: Buffer; begins: boolean }[] = [];
  const splitter = new DocumentSplitter((text, begins) => out.push({ text: Buffer.from(text), begins }), separator);
  for (let at = 0; at < bytes.length; ) {
    const n = Math.max(1, lengths());
    splitter.push(bytes.subarray(at, at + n));
    at += n;
  }
  splitter.end();
  return out;
}

/** The documents that the pieces make up. */
function join(parts: { text: Buffer; begins: boolean }[]): string[] {
  const documents: Buffer[][] = [];
  for (const { text, begins } of parts) {
    if (begins) documents.push([text]);
    else documents.at(-1)!.push(text);
  }
  return documents.map((list) => Buffer.concat(list).toString());
}

/** The definition, line by line: separator lines divide documents, and the line break before one is removed too. */
function oracle(text: string): string[] {
  const documents = [""];
  for (const line of text.split(/(?<=\n)/)) {
    if (/^<\|endoftext\|>(\r?\n)?$/.test(line)) {
      documents.push(documents.pop()!.replace(/\r?\n$/, ""), "");
    } else {
      documents.push(documents.pop()! + line);
    }
  }
  return documents.filter((document) => document !== "");
}

test("documents are separated by separator lines, however the bytes arrive", () => {
  const random = new RandomStream(1);
  const parts = [
    EOT,
    `${EOT}\n`,
    `\n${EOT}\n`,
    `\r\n${EOT}\r\n`,
    "\n",
    "\r\n",
    "\r",
    "a",
    " ",
    "<|endof",
    "text|>",
    "é🙂",
    "some words",
  ];
  for (let round = 0; round < ROUNDS; round++) {
    const text = Array.from({ length: random.below(12) }, () => parts[random.below(parts.length)]).join("");
    const expected = oracle(text);
    const bytes = Buffer.from(text);
    for (const length of [1, 2, 7, bytes.length]) {
      assert.deepEqual(join(pieces(bytes, () => length)), expected, JSON.stringify({ text, length }));
    }
  }
});

test("long documents come in pieces that depend on the bytes only, and none is longer than a piece", {
  skip: LIKE_OTHERS,
}, () => {
  const random = new RandomStream(2);
  const word = () => "the naïve 日本 don't\n".slice(random.below(10));
  let text = "";
  while (text.length < 1.2 * PIECE_BYTES) text += word();
  const own = "&".repeat(14);
  // Separators around the first cut, which may have arrived only in part when the piece is full.
  for (const shift of [-30, -14, -13, -2, -1, 0, 1, 2, 14, 30]) {
    for (const [separator, written] of [
      [undefined, ` \n${EOT}\n`],
      [undefined, ` \r\n${EOT}\r\n`],
      [own, own],
    ] as const) {
      const bytes = Buffer.from(text);
      bytes.write(written, PIECE_BYTES + shift);
      const whole = pieces(bytes, () => bytes.length, separator);
      assert.ok(whole.every((piece) => piece.text.length <= PIECE_BYTES + 18));
      assert.equal(whole.filter((piece) => piece.begins).length, 2);
      assert.deepEqual(join(whole), separator === own ? bytes.toString().split(own) : oracle(bytes.toString()));
      assert.deepEqual(
        pieces(bytes, () => random.below(300_000), separator),
        whole,
      );
      for (const more of [1, 3, 13, 14, 15, 16, 17, 18, 30]) {
        let n = 0;
        const chunk = () => (n++ === 0 ? PIECE_BYTES + more : bytes.length);
        assert.deepEqual(pieces(bytes, chunk, separator), whole, `shift ${shift}, ${more} more`);
      }
    }
  }
});

test("tokens of the parts are tokens of the whole, wherever the cut was requested", () => {
  const random = new RandomStream(3);
  const tokenizer = smallTokenizer();
  const parts = [
    " ",
    "  ",
    "\n",
    "\t",
    "\u00a0",
    "\u0085",
    "\u3000",
    "\ufeff",
    "\u2028",
    "the",
    "in",
    "'t",
    "'",
    "7",
    "!",
    "é",
    "日",
    "🙂",
    "\u0301",
  ];
  let moved = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = Array.from({ length: 30 }, () => parts[random.below(parts.length)]).join("");
    const bytes = Buffer.from(`x ${text} y`);
    const limit = 2 + random.below(bytes.length - 3);
    const cut = safeCut(bytes, limit);
    assert.ok(cut > 0 && cut <= limit);
    if (cut < limit) moved++;
    const ids = [...tokenizer.encodeBytes(bytes.subarray(0, cut)), ...tokenizer.encodeBytes(bytes.subarray(cut))];
    // "x |" offers a safe place at 1 to every cut.
    assert.deepEqual(ids, [...tokenizer.encodeBytes(bytes)], JSON.stringify({ text, cut }));
  }
  assert.ok(moved > ROUNDS / 3);
});

test("text without a safe position is cut between characters", () => {
  for (const shift of [0, 1, 2, 3]) {
    const bytes = Buffer.from(`${"x".repeat(shift)}${"日🙂".repeat(PIECE_BYTES / 6)}`);
    const parts = pieces(bytes, () => 1 << 18);
    assert.ok(parts.length > 1);
    assert.ok(parts.every(({ text }) => !text.toString().includes("\ufffd")));
    assert.ok(Buffer.concat(parts.map(({ text }) => text)).equals(bytes));
  }
  const noise = Buffer.alloc(3 * PIECE_BYTES, 0x80);
  assert.ok(Buffer.concat(pieces(noise, () => 1 << 18).map(({ text }) => text)).equals(noise));
});
