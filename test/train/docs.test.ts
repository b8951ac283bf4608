/** docs/training.md is correct: its table equals the plan, and it has every flag. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Command } from "commander";
import { GPT2_PRESETS, type GPT2Preset, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { registerTrain } from "../../src/cli/commands/train.js";
import { formatMemory, trainMemory } from "../../src/train/memory.js";
import { trainSettings } from "../../src/train/settings.js";
import { packageFile } from "../../src/util/package-root.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const doc = readFileSync(packageFile("docs/training.md"), "utf8");

describe("docs/training.md", () => {
  it("has the memory of the four sizes", () => {
    // The larger ones take longer to plan.
    const sizes = (Object.keys(GPT2_PRESETS) as GPT2Preset[]).slice(0, TESTING_ALL ? 4 : 1);
    for (const name of sizes) {
      const plan = (batchSize: number) =>
        trainMemory(gpt2Config(name), trainSettings({ batchSize }), { limit: Number.POSITIVE_INFINITY });
      const [one, four] = [plan(1), plan(4)];
      const row = [name, ...[4 * one.parameters, one.total, four.total].map(formatMemory)];
      assert.ok(doc.includes(`| ${row.join(" | ")} |`), row.join(" | "));
    }
  });

  it("has every flag, with its default", () => {
    const program = new Command();
    registerTrain(program);
    const rows = doc.split("\n").filter((line) => line.startsWith("| `"));
    for (const { long, description } of program.commands[0]!.options) {
      const row = rows.find((line) => line.includes(`\`${long} `) || line.includes(`\`${long}\``));
      assert.ok(row, `${long} in the table`);
      const [, fallback] = /\(default: ([\d.e-]+)\)$/.exec(description) ?? [];
      if (fallback !== undefined) assert.ok(row.split("|")[2]!.includes(fallback), `${long}: ${fallback}`);
    }
  });
});
