/** docs/evaluation.md has every task, option and flag, and correct statements on data. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Command } from "commander";
import { registerEval } from "../../src/cli/commands/eval.js";
import { PUBLISHED } from "../../src/evaluate/data/published.js";
import { TASKS } from "../../src/evaluate/registry.js";
import { packageFile } from "../../src/util/package-root.js";

const doc = readFileSync(packageFile("docs/evaluation.md"), "utf8");
const rows = doc.split("\n").filter((line) => line.startsWith("|"));

describe("docs/evaluation.md", () => {
  it("has every task, its options and their values", () => {
    for (const { name, options } of TASKS) {
      assert.ok(
        rows.some((row) => row.includes(`\`${name}\``)),
        name,
      );
      for (const [key, { values }] of Object.entries(options)) {
        assert.match(doc, new RegExp(`\`${key}(=|\`)`), `${name}: ${key}`);
        for (const value of values) assert.ok(doc.includes(value), `${name}: ${key}=${value}`);
      }
    }
  });

  it("has the flags that only evaluations have", () => {
    const program = new Command();
    registerEval(program);
    for (const flag of ["--data", "--limit", "--json", "--resume", "--progress"]) {
      assert.ok(
        program.commands[0]!.options.some(({ long }) => long === flag),
        flag,
      );
      assert.ok(
        rows.some((row) => row.includes(`\`${flag}`)),
        flag,
      );
    }
  });

  it("marks the files that are fetched", () => {
    for (const path of Object.keys(PUBLISHED)) {
      const [folder, file] = path.split("/") as [string, string];
      const row = rows.find((line) => line.startsWith(`| \`${folder}\``) && line.includes("↓"))!;
      assert.ok(row, path);
      assert.ok(row.includes(file) || /efficientqa/.test(file), path);
    }
  });
});
