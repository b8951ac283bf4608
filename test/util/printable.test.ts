import assert from "node:assert/strict";
import { test } from "node:test";
import { DataError } from "../../src/errors.js";
import { printable, printableLine } from "../../src/util/printable.js";
import { type ProgressStream, progress } from "../../src/util/progress.js";

/** Escape sequences, C1 controls, carriage returns, and a bidirectional override and isolate. */
const HOSTILE = "\x1b]0;title\x07 \x9b31m \r\x08 \u202eabc\u202c \u2066x\u2069 \u2028";
/** Checked by code points, not by the code's own pattern. */
const isUnsafe = (c: string): boolean => {
  const code = c.charCodeAt(0);
  const between = (low: number, high: number) => code >= low && code <= high;
  if (code === 9 || code === 10) return false;
  return between(0, 0x1f) || between(0x7f, 0x9f) || between(0x2028, 0x202e) || between(0x2066, 0x2069);
};
const assertSafe = (text: string) => assert.deepEqual([...text].filter(isUnsafe), []);

test("nothing that controls a terminal is left, and JSON keeps its value", () => {
  assertSafe(printable(HOSTILE));
  assert.match(printable(HOSTILE), /^\\u001b\]0;title\\u0007 \\u009b31m/);
  assert.deepEqual(JSON.parse(printable(JSON.stringify({ [HOSTILE]: HOSTILE }))), { [HOSTILE]: HOSTILE });
});

test("ordinary text in any script is unchanged", () => {
  const text = "Ünïcode 漢字 עברית\u200f العربية 👩‍👩‍👧 e\u0301\n\tnext line";
  assert.equal(printable(text), text);
  assert.equal(printableLine("a\n\tb"), "a\\n\\tb");
});

test("error messages are printable, and their details unchanged", () => {
  const error = new DataError({ op: `reading ${HOSTILE}`, got: HOSTILE, hint: HOSTILE });
  assertSafe(error.message);
  assert.equal(error.details.got, HOSTILE);
});

test("so are progress lines", () => {
  const written: string[] = [];
  const stream: ProgressStream = { write: (text) => written.push(text), isTTY: false };
  const line = progress({ label: HOSTILE, mode: "plain", stream });
  line.update(1, HOSTILE);
  line.log(HOSTILE);
  line.done(HOSTILE);
  assert.equal(written.length, 3);
  assertSafe(written.join("").replaceAll("\n", ""));
});
