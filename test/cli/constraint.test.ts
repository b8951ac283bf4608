import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gpt2 } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-constraint-"));
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const SCHEMA = file(
  "schema.json",
  '{"type":"object","properties":{"age":{"type":"integer","maximum":99}},"required":["age"],"additionalProperties":false}',
);
const GRAMMAR = file("sum.gbnf", 'root ::= [1-9] (" + " [1-9]){1,3}\n');

describe("constraints on the command line", { concurrency: 2 }, () => {
  for (const [args, pattern] of [
    [["--json-schema", SCHEMA, "--white-space", "none"], /^\{"age":-?\d+\}$/],
    [["--grammar", GRAMMAR], /^[1-9]( \+ [1-9]){1,3}$/],
    [["--regex", "[A-Z][a-z]{3}!"], /^[A-Z][a-z]{3}!$/],
    [["--choices", " calm, rough"], /^ (calm|rough)$/],
  ] as const) {
    it(`are satisfied: ${args[0]}`, async () => {
      const { stdout, status, stderr } = await gpt2(["The sea was", "-n", "40", "--seed", "1", "--json", ...args]);
      assert.equal(status, 0, stderr);
      const { text, finishReason } = JSON.parse(stdout);
      assert.match(text, pattern);
      assert.match(finishReason, /^(stop|endoftext)$/);
    });
  }

  for (const [args, message] of [
    [["--regex", "a", "--choices", "b"], /one of --json-schema, .*got --regex and --choices/],
    [["--json-schema", join(folder, "none.json")], /a file that can be read/],
    [["--json-schema", GRAMMAR], /--json-schema .*expected JSON/],
    [["--grammar", SCHEMA], /grammar at 1:1: expected a rule/],
    [["--regex", "(?=a)b"], /position 2/],
    [["--white-space", "any"], /--white-space alone/],
  ] as const) {
    it(`are refused before a model is loaded: ${args.join(" ").slice(0, 30)}`, async () => {
      const { stderr, status } = await gpt2(["x", ...args, "--model", join(folder, "no-model")]);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    });
  }
});
