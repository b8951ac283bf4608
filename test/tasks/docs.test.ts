/** docs/tasks.md: it has every task and flag. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Command } from "commander";
import { registerTask } from "../../src/cli/commands/task.js";
import { packageFile } from "../../src/util/package-root.js";

const doc = readFileSync(packageFile("docs/tasks.md"), "utf8");

describe("docs/tasks.md", () => {
  it("has every task, and every flag in its table", () => {
    const program = new Command();
    registerTask(program);
    const tasks = program.commands[0]!.commands;
    assert.equal(tasks.length, 6);
    const rows = doc.split("\n").filter((line) => line.startsWith("| `-"));
    const shared = /Models are chosen with the usual options: (.*)\n/.exec(doc)![1]!;
    for (const task of tasks) {
      assert.ok(doc.includes(`.${task.name()}(`), task.name());
      for (const { long } of task.options) {
        const row = rows.find((line) => new RegExp(`\`${long}[ \`]|${long}\``).test(line));
        assert.ok(row !== undefined || shared.includes(`\`${long}\``), `${task.name()}: ${long}`);
      }
    }
  });
});
