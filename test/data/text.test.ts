import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { jsonLines } from "../../src/data/json-lines.js";
import { notText, textBytes, textChunks } from "../../src/data/text.js";
import { DataError } from "../../src/errors.js";

const bytes = (text: string, encoding: BufferEncoding = "utf8") => new Uint8Array(Buffer.from(text, encoding));
const MARK = "\ufeff";

async function inPieces(content: Uint8Array, size: number): Promise<string> {
  async function* pieces() {
    for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
  }
  const parts: Uint8Array[] = [];
  for await (const part of textChunks(pieces(), "x")) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe("a text", () => {
  it("loses its byte order mark, and is otherwise unchanged", async () => {
    const long = "Zeilen über Zeilen.\r\n".repeat(2000);
    for (const text of ["", "a", "é", `x${MARK}`, "<p>no page</p>", "version 2", "BZh is no archive", long]) {
      for (const start of ["", MARK]) {
        const content = bytes(start + text);
        assert.equal(Buffer.from(textBytes(content, "x")).toString(), text);
        for (const size of [1, 3, 7999, 1 << 20])
          if (size > 1 || text !== long) {
            assert.equal(await inPieces(content, size), text);
          }
      }
    }
    // Invalid UTF-8 is left to the reader.
    assert.deepEqual(textBytes(Uint8Array.of(0xe4, 0x6e), "x"), Uint8Array.of(0xe4, 0x6e));
  });

  it("is none of these, which are named", async () => {
    const cases: [content: Uint8Array, kind: RegExp][] = [
      [bytes(`${MARK}text`, "utf16le"), /UTF-16/],
      [new Uint8Array(Buffer.from(`${MARK}text`, "utf16le").swap16()), /UTF-16/],
      [Uint8Array.of(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0), /UTF-32/],
      [Uint8Array.of(0, 0, 0xfe, 0xff, 0, 0, 0, 0x61), /UTF-32/],
      [bytes(`version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n`), /a Git LFS pointer/],
      [bytes("/annex/objects/MD5E-s1--0.txt\n"), /a git-annex pointer/],
      [bytes(`${MARK}<!doctype HTML><title>Sign in</title>`), /a web page/],
      [bytes(`<?xml version="1.0"?>\n<!-- saved -->\n<html xmlns="x">`), /a web page/],
      [bytes("PK\x03\x04", "latin1"), /a zip archive/],
      [bytes("%PDF-1.7"), /a PDF/],
      [bytes("BZh91AY&SY", "latin1"), /bzip2 data/],
      [bytes("BZh9\x17rE8P\x90", "latin1"), /bzip2 data/],
      [bytes("\x1f\x8b\x08", "latin1"), /gzip data/],
      [bytes(`${"text ".repeat(1000)}\0`), /binary data/],
    ];
    for (const [content, kind] of cases) {
      assert.match(notText(content)?.kind ?? "text", kind);
      for (const read of [async () => textBytes(content, "some.txt"), () => inPieces(content, 5)]) {
        await assert.rejects(read, (error: Error) => {
          assert.ok(error instanceof DataError);
          assert.match(error.details.got!, kind);
          assert.ok(error.details.hint);
          return true;
        });
      }
    }
  });
});

describe("JSON lines", () => {
  it("are objects; blank lines are skipped, and either line break is accepted", () => {
    const text = '{"a":1}\r\n\r\n \t\n{"a":"é\\n"}\n{"a":[]}';
    const found = [...jsonLines(bytes(text), "x.jsonl", 7)];
    assert.deepEqual(
      found.map(({ record }) => record),
      [{ a: 1 }, { a: "é\n" }, { a: [] }],
    );
    assert.deepEqual(
      found.map(({ where }) => where),
      ["x.jsonl, line 7", "x.jsonl, line 10", "x.jsonl, line 11"],
    );
    assert.deepEqual([...jsonLines(bytes("\n"), "x")], []);
  });

  it("that are something else are refused, naming file and line", () => {
    const cases: [line: string, message: RegExp][] = [
      ["{", /x\.jsonl, line 2: expected a JSON object, got .*JSON.*\. JSONL holds one JSON object per line/],
      ["[1]", /line 2: expected a JSON object, got a list/],
      ["null", /got null/],
      ["3", /got a number/],
      [`{"a":${"[".repeat(1e5)}`, /line 2: expected a JSON object/],
    ];
    for (const [line, message] of cases) {
      assert.throws(
        () => [...jsonLines(bytes(`{}\n${line}\n{}`), "x.jsonl")],
        (error: Error) => error instanceof DataError && message.test(error.message),
      );
    }
  });
});
