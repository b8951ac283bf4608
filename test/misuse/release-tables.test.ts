import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClassifierRow } from "../../scripts/detection/classifiers.js";
import type { Separation } from "../../scripts/detection/curves.js";
import { detectionTables } from "../../scripts/detection/tables.js";
import type { Figures, Row } from "../../scripts/evaluate-detectors.js";
import { extractionTables } from "../../scripts/release-figures/extraction.js";
import { type SchemeFigures, watermarkTables } from "../../scripts/watermark-figures/tables.js";
import type { ExtractionReport } from "../../src/misuse/extract/extractable.js";
import type { SampleRankings } from "../../src/misuse/extract/rank-samples.js";

/** The tables of scripts/release-figures.ts, of figures as its parts write them. */

const measured = (value: number) => ({ value, interval: { low: value - 0.1, high: value + 0.1 } });
const separation = (auroc: number): Separation => {
  const rates = { truePositives1: measured(0.2), truePositives5: measured(0.5) };
  return { human: 30, machine: 30, auroc: measured(auroc), ...rates };
};
const row = (more: Partial<Row>): Row => ({
  ...{
    domain: "books",
    generator: "small",
    sampling: "top-k 40",
    tokens: undefined,
    edit: undefined,
    share: undefined,
  },
  separations: { curvature: separation(0.8) },
  ...more,
});

test("figures of detection: scores, lengths, edits, classifiers", () => {
  const figures: Figures = {
    ...{ program: "gpt2-ts 1", model: "the default model", observer: "small", texts: 30 },
    rows: [
      row({ separations: { curvature: separation(0.8), binoculars: separation(0.7) } }),
      row({ tokens: 64 }),
      row({ tokens: 128, separations: { curvature: { ...separation(0.8), machine: 3 } } }),
      ...[0.1, 0.5].map((share) => row({ edit: "paraphrase", share, separations: { curvature: separation(0.6) } })),
    ],
    calibrated: [{ domain: "books", texts: 30, share: 0.05 }],
    classifier: [{ detector: "TF-IDF", trained: "small", tested: "gpt2-xl", separation: separation(0.9) }],
  };
  const edited = { edit: "swap", share: 0.3, separation: separation(0.55) } as const;
  const heads: ClassifierRow[] = [{ detector: "BERT", trained: "small", tested: "small", ...edited }];
  const text = detectionTables(figures, heads);
  const shares = "20.0% (10.0%–30.0%) | 50.0% (40.0%–60.0%)";
  for (const line of [
    "| domain | generator | sampling | curvature | Binoculars |",
    "| books | small | top-k 40 | 0.800 (0.700–0.900) | 0.700 (0.600–0.800) |",
    `| books | small | top-k 40 | ${shares} | ${shares} |`,
    `| books | small | top-k 40 | 64 | 0.800 (0.700–0.900) | ${shares} |`,
    "| domain | generator | sampling | words | 10% | 50% |",
    "| books | small | top-k 40 | replaced by a synonym | 0.600 (0.500–0.700); 50.0% (40.0%–60.0%) | 0.600 (0.500–0.700); 50.0% (40.0%–60.0%) |",
    "| books | 30 | 5.0% |",
    `| TF-IDF | small | gpt2-xl | 0.900 (0.800–1.000) | ${shares} |`,
    `| BERT | small | swapped with the next | 30% | 0.550 (0.450–0.650) | ${shares} |`,
  ]) {
    assert.ok(text.includes(`\n${line}\n`) || text.endsWith(`\n${line}`), `${line}\n\n${text}`);
  }
  assert.doesNotMatch(text, /\| 128 \|/, "too few texts of a length");
});

test("figures of watermarks", () => {
  const quality = { perplexity: { value: 6.054, low: 5.7, high: 6.42 }, distinct: [0.35, 0.643, 0.7834, 1] };
  const all: SchemeFigures[] = [
    { scheme: "none", texts: 100, quality },
    {
      ...{ scheme: "gumbel", texts: 100, quality },
      byLength: [25, 400].map((length) => ({ length, text: { "0.01": 0.96, "0.001": 0.83 } })),
      afterEdits: [
        { edit: "paraphrase", shares: [{ amount: 0.5, changed: 0.441, found: { "0.01": 0.2, "0.001": 0 } }] },
      ],
      human: { passages: 10_000, found: { "0.01": 0.0092, "0.001": 0.0007 }, ofKeys: [0.005, 0.014] },
    },
  ];
  const text = watermarkTables(all);
  for (const line of [
    "| `gumbel` | 96 / 83 | 96 / 83 |",
    "| `gumbel` | replaced by a synonym | 20 / 0 (44%) |",
    "| none | 6.05 (5.70 to 6.42) | 0.350 | 0.643 | 0.783 | 1.000 |",
    "| `gumbel` | 0.92% | 0.07% | 0.50% to 1.40% |",
  ]) {
    assert.ok(text.includes(`\n${line}`), `${line}\n\n${text}`);
  }
  assert.match(
    text,
    /^100 texts of 400 tokens for each scheme.*within 10 points at worst \(95%\), and to within 4 where/,
  );
  assert.match(text, /among 10,000 human passages/);
});

test("figures of extraction: by prompt, by count, by size, and rankings", () => {
  const rate = { promptTokens: 50, passages: 1000, extractable: 2, rate: 0.002, interval: [0.0005, 0.0073] } as const;
  const report = {
    ...{ targetTokens: 50, passages: 1000, rates: [rate] },
    byCount: [{ ...rate, minCount: 2, maxCount: 3 }],
  } as unknown as ExtractionReport;
  const sample = { longestRun: 9, scores: { perplexity: 1, small: 2 } };
  const ranked = {
    ...{ matchTokens: 20, memorized: 0, samples: [sample, { ...sample, longestRun: 6 }] },
    rankings: { perplexity: { top: 2, memorized: 0 }, small: { top: 2, memorized: 0 } },
  } as unknown as SampleRankings;
  const text = extractionTables(report, ranked, new Map([["small", report]]));
  for (const line of [
    "| any number | 50 | 2 of 1000 | 0.20% | 0.050% to 0.73% |",
    "| 2 to 3 | 50 | 2 of 1000 | 0.20% | 0.050% to 0.73% |",
    "| `small` | 50 | 2 of 1000 | 0.20% | 0.050% to 0.73% |",
    "| all texts | 2 of 2 | 1 of 2 | 0 of 2 | 0 of 2 |",
    "| the lowest perplexity | 2 | 1 | 0 | 0 |",
  ]) {
    assert.ok(text.includes(`\n${line}`), `${line}\n\n${text}`);
  }
});
