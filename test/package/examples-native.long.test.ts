/** The programs in the documentation on the backend that is chosen by itself. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { examples } from "./example-project.js";
import { examplesRun } from "./examples-run.js";

it("programs in the documentation import the package and Node, nothing else", () => {
  assert.ok(examples().length >= 15);
  for (const { name, source } of examples()) assert.doesNotMatch(source, /from "(?!gpt2-ts|node:)/, name);
});

examplesRun("auto");
