import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allCases } from "../../bench/cases.js";
import { measureCase } from "../../bench/measure.js";
import { mergeRows, type SummaryRow, summaryRow, summaryTable } from "../../bench/summary.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";

const start = allCases(gpt2Config("gpt2"), 1).find(({ name }) => name === "start-q8_0")!;
const row = (name: string, figure: number): SummaryRow => ({
  case: name,
  title: `title of ${name}`,
  unit: "tokens/s",
  figure,
  share: 0.5,
  best: { name: "peer", figure: 10, times: 2 },
  times: { peer: 2, slow: 4 },
  disturbed: false,
  date: "2026-11-22",
});
const cellsOf = (line: string) => line.split("|").map((cell) => cell.trim());

describe("the summary", () => {
  it("has for each case our figure, the best peer and all others", async () => {
    const taking = (name: string, seconds: number) => ({
      name,
      request: async () => ({ result: { ids: [], seconds: [] }, secondsSinceStart: seconds }),
    });
    const runners = [taking("gpt2-ts", 0.1), taking("command line", 0.2), taking("p", 0.5), taking("q", 0.4)];
    const result = await measureCase(start, runners, { repeats: 1, retries: 0 });
    const entrants = runners.map(({ name }, i) => ({ name, ours: i < 2, description: "" }));
    const { figure, unit, share, best, times } = summaryRow(result, entrants, "2026-11-22")!;
    assert.deepEqual([figure, unit, share], [100, "ms", undefined]);
    assert.deepEqual(best, { name: "q", figure: 400, times: 4 });
    assert.deepEqual(times, { p: 5, q: 4 });
    assert.equal(summaryRow(result, entrants.slice(2), "2026-11-22"), undefined);
  });

  it("shows the cases with aims, in the aims' order", () => {
    const rows = [row("a", 100), row("without an aim", 1), row("b", 30)];
    const text = summaryTable(rows, [
      { case: "b", share: 0.9, times: 1.5 },
      { case: "not measured", share: 0.9 },
      { case: "a", over: { case: "b", times: 5 }, peer: { name: "slow", times: 20 } },
    ]);
    const [, , first, second, ...more] = text.split("\n");
    assert.deepEqual(more, []);
    assert.deepEqual(cellsOf(first!).slice(1, -1), [
      "title of b",
      "30.0 tokens/s",
      "50%",
      "≥ 90%",
      "2.00× peer (10.0)",
      "≥ 1.5×",
    ]);
    assert.deepEqual(cellsOf(second!).slice(4, -1), [
      "-",
      "2.00× peer (10.0), 4.00× slow, 3.33× title of b",
      "≥ 20× slow, ≥ 5× our batch 1",
    ]);
  });

  it("uses the latest measurement", () => {
    const merged = mergeRows([row("a", 1), row("b", 2)], [row("b", 3), row("c", 4)]);
    assert.deepEqual(
      merged.map((r) => [r.case, r.figure]),
      [
        ["a", 1],
        ["b", 3],
        ["c", 4],
      ],
    );
  });
});
