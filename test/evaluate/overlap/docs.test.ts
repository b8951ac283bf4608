/** docs/overlap.md has every flag, and the actual defaults. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Command } from "commander";
import { registerOverlap } from "../../../src/cli/commands/overlap.js";
import { addModelOptions } from "../../../src/cli/options.js";
import { bloomShape } from "../../../src/evaluate/overlap/bloom-filter.js";
import { DEFAULT_N, DEFAULT_RATE } from "../../../src/evaluate/overlap/build-filter.js";
import { packageFile } from "../../../src/util/package-root.js";

const doc = readFileSync(packageFile("docs/overlap.md"), "utf8");

describe("docs/overlap.md", () => {
  it("has every flag of its own", () => {
    const program = new Command();
    registerOverlap(program);
    const overlap = program.commands[0]!;
    const models = new Set(addModelOptions(new Command()).options.map(({ long }) => long));
    for (const { long } of [overlap, ...overlap.commands].flatMap(({ options }) => options)) {
      if (!models.has(long)) assert.ok(doc.includes(`\`${long}`) || doc.includes(`${long} `), String(long));
    }
  });

  it("has the size that the formula gives", () => {
    assert.match(doc, new RegExp(`default ${DEFAULT_N}, the paper's`));
    assert.match(doc, new RegExp(`default ${DEFAULT_RATE}, the paper's`));
    const { hashes, bits } = bloomShape(1e8, DEFAULT_RATE);
    assert.match(doc, new RegExp(`${hashes} of ${(bits / 1e8).toFixed(1)} n bits, ${(bits / 8e8).toFixed(2)} bytes`));
  });
});
