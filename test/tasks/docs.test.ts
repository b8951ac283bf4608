/** docs/tasks.md: its program runs, and it has every task and flag. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Command } from "commander";
import { registerTask } from "../../src/cli/commands/task.js";
import { packageFile } from "../../src/util/package-root.js";

const doc = readFileSync(packageFile("docs/tasks.md"), "utf8");
const dir = mkdtempSync(join(tmpdir(), "gpt2-tasks-doc-"));
after(() => rmSync(dir, { recursive: true }));

describe("docs/tasks.md", () => {
  it("has a program that runs", () => {
    const [, program] = /```js\n([\s\S]*?)```/.exec(doc)!;
    const entry = new URL("../../src/node.js", import.meta.url).href;
    writeFileSync(join(dir, "program.mjs"), program!.replace('"gpt2-ts"', JSON.stringify(entry)));
    const env = { ...process.env, GPT2_THREADS: "1" };
    const { status, stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], {
      cwd: dir,
      encoding: "utf8",
      env,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Where is the station\? =/m);
    assert.match(stdout, /^ (blue|loud)\. \[$/m);
  });

  it("has every task, and every flag in its table", () => {
    const program = new Command();
    registerTask(program);
    const tasks = program.commands[0]!.commands;
    assert.equal(tasks.length, 6);
    const rows = doc.split("\n").filter((line) => line.startsWith("| `-"));
    const shared = /Models are chosen as everywhere: (.*)\n/.exec(doc)![1]!;
    for (const task of tasks) {
      assert.ok(doc.includes(`.${task.name()}(`), task.name());
      for (const { long } of task.options) {
        const row = rows.find((line) => new RegExp(`\`${long}[ \`]|${long}\``).test(line));
        assert.ok(row !== undefined || shared.includes(`\`${long}\``), `${task.name()}: ${long}`);
      }
    }
  });
});
