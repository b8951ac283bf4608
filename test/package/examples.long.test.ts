/** Every program in README.md and docs compiles and runs, with the available kernels and on WebAssembly. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ExampleProject, type ExampleRun, examples } from "./example-project.js";
import type { Ran } from "./project.js";

/** Output and files of examples, where docs state them. */
const EXPECTED: Readonly<Record<string, (ran: ExampleRun) => void>> = {
  "docs/tasks.md": ({ stdout }) => {
    assert.match(stdout, /^Where is the station\? =/m);
    assert.match(stdout, /^ (blue|loud)\. \[$/m);
  },
  "docs/training.md": ({ stdout, dir }) => {
    assert.match(stdout, /^1 6\.\d+\n2 /);
    assert.equal(stdout.match(/held out: [\d.]+ bits per byte/g)!.length, 2);
    assert.ok(existsSync(join(dir, "runs", "book", "model", "model.safetensors")));
  },
  "docs/finetuning.md": ({ stdout, source, dir }) => {
    if (!source.includes("facts")) return;
    assert.match(stdout, /^1 \d\.\d+\n2 /);
    assert.ok(existsSync(join(dir, "runs", "facts", "adapter", "template.json")));
  },
};

const BACKENDS = {
  auto: "on the backend that is chosen by itself",
  // The backend that GPT2_BACKEND=wasm selects.
  wasm: "on a machine without a C compiler",
};

const dir = mkdtempSync(join(tmpdir(), "gpt2-examples-"));
after(() => rmSync(dir, { recursive: true }));

it("programs in the documentation import the package and Node, nothing else", () => {
  assert.ok(examples().length >= 15);
  for (const { name, source } of examples()) assert.doesNotMatch(source, /from "(?!gpt2-ts|node:)/, name);
});

describe("the programs in the documentation, in a project that installed the package", () => {
  let project: ExampleProject;
  let compiled: Ran;
  before(async () => {
    project = await ExampleProject.make(dir);
    compiled = await project.compile();
  });
  after(() => project.close());

  it("compile", () => assert.equal(compiled.status, 0, compiled.stdout));

  for (const example of examples()) {
    for (const [backend, where] of Object.entries(BACKENDS)) {
      it(`${example.name} runs ${where}`, async () => {
        const ran = await project.run(example, backend);
        assert.equal(ran.status, 0, ran.stderr);
        EXPECTED[example.name.split(":")[0]!]?.(ran);
      });
    }
  }
});
