import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ExampleProject, type ExampleRun, examples } from "./example-project.js";

/** What examples print, and leave behind, where docs say so. */
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

const dir = mkdtempSync(join(tmpdir(), "gpt2-examples-"));
after(() => rmSync(dir, { recursive: true }));

/** Tests that every program in README.md and docs compiles in a project that installed the package, and runs. */
export function examplesRun(backend: string): void {
  describe(`the programs in the documentation, on ${backend}`, () => {
    let project: ExampleProject;
    before(async () => {
      project = await ExampleProject.make(join(dir, backend), { GPT2_BACKEND: backend });
    });
    after(() => project.close());

    it("compile", async () => {
      const { status, stdout } = await project.compile();
      assert.equal(status, 0, stdout);
    });

    for (const example of examples()) {
      it(`${example.name} runs`, async () => {
        const ran = await project.run(example);
        assert.equal(ran.status, 0, ran.stderr);
        EXPECTED[example.name.split(":")[0]!]?.(ran);
      });
    }
  });
}
