import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { largest } from "../../src/generate/largest.js";
import { RowSummaries } from "../../src/generate/row-summaries.js";
import { Sampler } from "../../src/generate/sampler.js";
import { descending } from "../../src/generate/sampling/descending.js";
import { moreSampling } from "../../src/generate/sampling/options.js";
import { ScoredRow } from "../../src/generate/sampling/scored-row.js";
import { type SamplingOptions, samplingSettings } from "../../src/pretrained/sampling-options.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { backends } from "./models.js";

const [V, LIMIT, ROWS] = [1100, 1037, 5];
/** Random rows, rows with equal values, with one token far above all others, and nearly flat rows. */
const rows = new RandomArrays(4).floats(ROWS * V, 2);
for (let i = 0; i < V; i++) {
  rows[V + i] = Math.round(rows[V + i]!);
  rows[2 * V + i]! += i === 500 ? 30 : 0;
  rows[3 * V + i]! /= 50;
  // Ids beyond the limit do not count.
  if (i >= LIMIT) rows[4 * V + i] = 99;
}

const SETTINGS: readonly SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 1, topK: 0 },
  { temperature: 0.7, topK: 40 },
  { temperature: 1.3, topK: 200, topP: 0.8 },
  { temperature: 1, topK: 0, topP: 0.9 },
  { temperature: 0.5, topK: 0, topP: 0.3, minP: 0.05 },
  { temperature: 1, topK: 0, minP: 0.2 },
  { temperature: 1, topK: 0, topP: 0 },
];

for (const backend of await backends()) {
  describe(`samples by a summary of the logits: ${backend.name}`, () => {
    for (const settings of SETTINGS) {
      for (const [name, more] of [
        ["", {}],
        [", penalties", { presencePenalty: 1.5, logitBias: { 500: -40, 3: 2 } }],
      ] as const) {
        it(`${JSON.stringify(settings)}${name}`, async () => {
          const logits = backend.alloc("f32", ROWS * V);
          logits.write(rows);
          const summaries = new RowSummaries(backend, ROWS, V, logits);
          const all = samplingSettings({ topP: 1, minP: 0, repetitionPenalty: name === "" ? 1 : 1.2, ...settings });
          const sampling = moreSampling(more);
          let [draws, others] = [0, 0];
          for (let u = 0; u < 1; u += 1 / 64) {
            const uniform = () => u;
            const make = () => {
              const sampler = new Sampler(all, LIMIT, { uniform }, undefined, sampling);
              sampler.see([7, 500, 1036]);
              sampler.push(900);
              return sampler;
            };
            const { wanted } = make();
            const summaryOf = await summaries.of(new Array(ROWS).fill(wanted));
            for (let m = 0; m < ROWS; m++) {
              const row = rows.subarray(m * V, (m + 1) * V);
              const [by, without] = [make().sample(row, summaryOf(m)), make().sample(row)];
              assert.ok(by < LIMIT);
              draws++;
              // Sums in single and double precision divide neighbouring tokens at different random numbers.
              if (by !== without) others++;
            }
          }
          assert.ok(others <= draws / 100, `${others} of ${draws} differ`);
          summaries.dispose();
        });
      }
    }
  });
}

describe("a row's likeliest tokens", () => {
  it("are those of a search through all, equals included", () => {
    const row = new ScoredRow(LIMIT);
    for (let m = 0; m < ROWS; m++) {
      const scores = rows.subarray(m * V, m * V + LIMIT);
      row.take(scores, undefined, undefined);
      for (const k of [1, 2, 8, 15, 16, 100, 300]) {
        const [got, want] = [new Int32Array(k), new Int32Array(k)];
        row.top(k, got);
        largest(scores, k, want);
        assert.deepEqual(got, want, `row ${m}, k ${k}`);
      }
      assert.equal(row.likeliest, scores.indexOf(Math.max(...scores)));
    }
  });

  it("in order, by single and by double precision", () => {
    const values = rows.slice(V, 2 * V);
    values.set([0, -0, Number.NEGATIVE_INFINITY, 1e-40, -1e-40, 3e38], 10);
    const want = [...values.keys()].sort((a, b) =>
      values[a] === values[b] ? a - b : values[b]! > values[a]! ? 1 : -1,
    );
    assert.deepEqual([...descending(values)], want);
    assert.deepEqual([...descending(Float64Array.from(values))], want);
  });
});
