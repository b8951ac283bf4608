import assert from "node:assert/strict";
import { test } from "node:test";
import { DataError } from "../../src/errors.js";
import { printable, printableLine } from "../../src/util/printable.js";
import { type ProgressStream, progress } from "../../src/util/progress.js";

/** Escape sequences, C1 controls, carriage returns, and a bidirectional override and isolate. */
const HOSTILE = "\x1b]0;title\x07 \x9b31m \r\x08 \u202eabc\u202c \u2066x\u2069 \u2028";
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/; // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for

test("nothing that steers a terminal is left, and JSON keeps its value", () => {
  assert.doesNotMatch(printable(HOSTILE), UNSAFE);
  assert.match(printable(HOSTILE), /^\\u001b\]0;title\\u0007 \\u009b31m/);
  assert.deepEqual(JSON.parse(printable(JSON.stringify({ [HOSTILE]: HOSTILE }))), { [HOSTILE]: HOSTILE });
});

test("ordinary text of any script stays as it is", () => {
  const text = "Ünïcode 漢字 עברית\u200f العربية 👩‍👩‍👧 e\u0301\n\tnext line";
  assert.equal(printable(text), text);
  assert.equal(printableLine("a\n\tb"), "a\\n\\tb");
});

test("error messages are printable, and their details are as they came", () => {
  const error = new DataError({ op: `reading ${HOSTILE}`, got: HOSTILE, hint: HOSTILE });
  assert.doesNotMatch(error.message, UNSAFE);
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
  assert.doesNotMatch(written.join("").replaceAll("\n", ""), UNSAFE);
});
