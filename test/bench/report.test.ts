import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allCases } from "../../bench/cases.js";
import { measureCase } from "../../bench/measure.js";
import { caseTable, limitTable, replaceSection, table } from "../../bench/report.js";
import { spread } from "../../bench/statistics.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";

const decode = allCases(gpt2Config("gpt2"), 1).find(({ name }) => name === "decode-8-f32")!;

/** Decodes at these rates, run after run; the first is the warm-up. */
function runner(name: string, rates: readonly number[]) {
  let next = 0;
  const seconds = (rate: number) => [9, ...Array.from({ length: 64 }, () => 1 / rate)];
  return {
    name,
    request: async () => {
      const rate = rates[next++]!;
      return { result: { ids: [], seconds: seconds(rate) }, secondsSinceStart: 1 / rate };
    },
  };
}

describe("spread", () => {
  it("is the middle, or the mean of the two in the middle, and the ends", () => {
    assert.deepEqual(spread([10, 9, 100]), { median: 10, min: 9, max: 100 });
    assert.deepEqual(spread([4, 1, 2, 100]), { median: 3, min: 1, max: 100 });
    assert.throws(() => spread([]), RangeError);
  });
});

describe("tables", () => {
  it("are Markdown with aligned columns", () => {
    const lines = table(["a", "long head"], [["12345", "x"]]).split("\n");
    assert.deepEqual(lines, ["| a     | long head |", "| ----- | --------- |", "| 12345 | x         |"]);
  });

  it("show ours, its share of the limit, the peers and the ratio to the best of them", async () => {
    const runners = [runner("gpt2-ts", [1, 30, 34, 32]), runner("slow", [1, 8, 8, 8]), runner("fast", [1, 15, 20, 16])];
    // 32 tokens/s at half the limit.
    const limit = 64 * decode.limit.perToken!;
    const gauge = { sample: async () => limit, best: () => limit };
    const result = await measureCase(decode, runners, { repeats: 3, retries: 0, gauge });
    const entrants = runners.map(({ name }, i) => ({ name, ours: i === 0, description: `about ${name}` }));
    const [head, , row, , ...notes] = caseTable([result], entrants, ["nobody: not installed"]).split("\n");
    const cells = (line: string) => line.split("|").map((cell) => cell.trim());
    assert.deepEqual(cells(head!).slice(2, -2), ["gpt2-ts", "of the limit", "slow", "fast"]);
    assert.deepEqual(cells(row!).slice(1, -1), [
      "decode 64 after 8, f32",
      "**32.0 (30.0–34.0)**",
      "50%",
      "8.00 (8.00–8.00)",
      "16.0 (15.0–20.0)",
      "2.00× fast",
    ]);
    assert.match(notes.join("\n"), /medians of 3 rounds; the read bandwidth meanwhile .* allows 64\.0 tokens\/s\n/);
    assert.match(notes.join("\n"), /- gpt2-ts: about gpt2-ts\n.*- nobody: not installed$/s);
    assert.doesNotMatch(notes.join("\n"), /not quiet/);
  });

  it("show limits in their units", () => {
    const perSecond = { max: 27.1e9, median: 26e9, min: 9e9 };
    const rows = [{ what: "reading memory in order", kind: "read", threads: 2, perSecond }] as const;
    assert.match(limitTable(rows), /\| reading memory in order \| 2 {7}\| 27.1 GB\/s \| 26.0 {3}\| 9.00 {5}\|$/);
  });
});

describe("replaceSection", () => {
  const text = "# A\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nrest\n";

  it("replaces what stands between the marks, however often", () => {
    const once = replaceSection(text, "x", "new");
    assert.equal(once, "# A\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nrest\n");
    assert.equal(replaceSection(once, "x", "new"), once);
  });

  it("does not take a document without the marks", () => {
    assert.throws(() => replaceSection(text, "y", "new"), /no place for y/);
  });
});
