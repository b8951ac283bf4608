import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../src/errors.js";
import { withoutByteOrderMark } from "../../src/util/text.js";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a byte-order mark is no part of a text, one inside it is", () => {
  assert.deepEqual(withoutByteOrderMark(utf8("\ufeffa\ufeff"), "x"), utf8("a\ufeff"));
  assert.deepEqual(withoutByteOrderMark(utf8("a"), "x"), utf8("a"));
  assert.deepEqual(withoutByteOrderMark(new Uint8Array(0), "x"), new Uint8Array(0));
});

test("UTF-16 and UTF-32 are named, not read as something else", () => {
  for (const [bytes, name] of [
    [[0xff, 0xfe, 0x41, 0], "UTF-16"],
    [[0xfe, 0xff, 0, 0x41], "UTF-16"],
    [[0xff, 0xfe, 0, 0], "UTF-32"],
    [[0, 0, 0xfe, 0xff], "UTF-32"],
  ] as const) {
    assert.throws(
      () => withoutByteOrderMark(Uint8Array.from(bytes), "page.txt", UsageError),
      (error: unknown) =>
        error instanceof UsageError && error.message.includes(`page.txt: expected text in UTF-8, got ${name}`),
    );
  }
});
