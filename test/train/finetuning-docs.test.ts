/** docs/finetuning.md is correct: its memory figures equal the plan, and it has every flag. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Command } from "commander";
import { GPT2_PRESETS, type GPT2Preset, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { heldAs } from "../../src/architectures/weight-types.js";
import { registerFinetune } from "../../src/cli/commands/finetune.js";
import { TEMPLATES } from "../../src/data/examples/template.js";
import type { WeightType } from "../../src/dtype/dtype.js";
import { loraSettings } from "../../src/train/lora-settings.js";
import { formatMemory, trainMemory } from "../../src/train/memory.js";
import { trainSettings } from "../../src/train/settings.js";
import { packageFile } from "../../src/util/package-root.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const doc = readFileSync(packageFile("docs/finetuning.md"), "utf8");

describe("docs/finetuning.md", () => {
  it("has the memory of the four sizes", () => {
    // The larger ones take longer to plan.
    const sizes = (Object.keys(GPT2_PRESETS) as GPT2Preset[]).slice(0, TESTING_ALL ? 4 : 1);
    for (const name of sizes) {
      const config = gpt2Config(name);
      const plan = (recompute: number, dtype?: WeightType) => {
        const types = new Map(tensorTable(config).map((spec) => [spec.name, heldAs(spec, dtype ?? "f32")]));
        const adapter = dtype && { lora: loraSettings(), types };
        const settings = trainSettings({ batchSize: 1, recompute });
        return formatMemory(trainMemory(config, settings, { limit: Number.POSITIVE_INFINITY, ...adapter }).total);
      };
      const row = [name, plan(0), plan(1), plan(0, "f32"), plan(1, "f32"), plan(1, "q8_0"), plan(1, "q4_0")];
      assert.ok(doc.includes(`| ${row.join(" | ")} |`), row.join(" | "));
    }
  });

  it("has the templates", () => {
    for (const [name, template] of Object.entries(TEMPLATES)) {
      const row = doc.split("\n").find((line) => line.startsWith(`| \`${name}\` |`))!;
      const [, json] = /\| `(\{.*\})` \|$/.exec(row)!;
      assert.deepEqual(JSON.parse(json!.replaceAll("\\|", "|")), template);
    }
  });

  it("has every flag, with its default", () => {
    const program = new Command();
    registerFinetune(program);
    const rows = doc.split("\n").filter((line) => line.startsWith("| `"));
    for (const { long, description } of program.commands[0]!.options) {
      const row = rows.find((line) => line.includes(`\`${long} `) || line.includes(`\`${long}\``));
      assert.ok(row, `${long} in the table`);
      const [, fallback] = /\(default: ([\d.e-]+)\)$/.exec(description) ?? [];
      if (fallback !== undefined) assert.ok(row.split("|")[2]!.includes(fallback), `${long}: ${fallback}`);
    }
  });
});
