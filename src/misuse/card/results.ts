import { DataError } from "../../errors.js";
import type { TaskResult } from "../../evaluate/run.js";
import { mismatch, type Shape } from "../../util/json-shape.js";
import type { BiasReport } from "../bias/probe.js";
import type { Calibration } from "../detect/calibration.js";
import type { Detection } from "../detect/detect.js";
import type { ExtractionReport } from "../extract/extractable.js";
import type { SampleRankings } from "../extract/rank-samples.js";

/** Results of other commands, as written by their `--json`, that a card shows. */
export interface CardResults {
  /** gpt2 eval, gpt2 reproduce. */
  readonly evaluations: readonly Pick<TaskResult, "spec" | "items" | "metrics">[];
  /** gpt2 extract. */
  readonly extraction: readonly Pick<ExtractionReport, "targetTokens" | "passages" | "rates">[];
  /** gpt2 extract --rank. */
  readonly rankings: readonly Pick<SampleRankings, "matchTokens" | "memorized" | "samples" | "rankings">[];
  /** gpt2 bias. */
  readonly bias: readonly BiasReport[];
  /** gpt2 detect. */
  readonly detections: readonly (Pick<Detection, "scores" | "falsePositives"> & {
    readonly tokenCount: number;
    readonly calibration: { readonly name: string } | null;
  })[];
  /** scripts/evaluate-detectors.ts. */
  readonly separations: readonly SeparationRow[];
  /** scripts/watermark-figures.ts. */
  readonly watermarks: readonly WatermarkFigures[];
  /** detection.json in the model's folder. */
  readonly calibrations: readonly Calibration[];
  /** overlap.json in the model's folder. */
  readonly overlaps: readonly Overlaps[];
}

export interface SeparationRow {
  readonly domain: string;
  readonly generator: string;
  readonly sampling?: string;
  readonly tokens?: number;
  readonly edit?: string;
  readonly separations: Readonly<Record<string, Readonly<Record<"auroc" | "truePositives5", MeasuredShare>>>>;
}

/** Shares of marked texts found, and of human passages mistaken for marked, at false-positive rates of 1% and 0.1%. */
export interface WatermarkFigures {
  readonly scheme: string;
  readonly texts: number;
  readonly byLength?: readonly { readonly length: number; readonly text: FoundShares }[];
  readonly human?: { readonly passages: number; readonly found: FoundShares };
}

export type FoundShares = Readonly<Record<"0.01" | "0.001", number>>;

export interface MeasuredShare {
  readonly value: number;
  readonly interval: { readonly low: number; readonly high: number };
}

export interface Overlaps {
  readonly sets: readonly { readonly title: string; readonly ngrams: number; readonly overlap: number }[];
}

const INTERVAL = { fields: { low: "number", high: "number" } } as const;
const PAIR = { list: "number" } as const;
const MEASURED = { fields: { value: "number", interval: INTERVAL } } as const;
const RATE = {
  fields: { promptTokens: "count", passages: "count", extractable: "count", rate: "number", interval: PAIR },
} as const;

const FOUND = { fields: { "0.01": "number", "0.001": "number" } } as const;

/** The kinds of result files: how each is recognized, and where its content goes. */
const KINDS: readonly {
  readonly shape: Shape;
  readonly add: (results: Writable<CardResults>, value: never) => void;
}[] = [
  {
    shape: {
      fields: {
        results: {
          list: { fields: { spec: "string", items: "count", metrics: { list: { fields: { name: "string" } } } } },
        },
      },
    },
    add: ({ evaluations }, { results }: { results: TaskResult[] }) => evaluations.push(...results),
  },
  {
    shape: { fields: { targetTokens: "count", passages: "count", rates: { list: RATE } } },
    add: ({ extraction }, value: ExtractionReport) => extraction.push(value),
  },
  {
    shape: {
      fields: {
        matchTokens: "count",
        memorized: "count",
        samples: { list: { fields: { longestRun: "count" } } },
        rankings: { fields: {} },
      },
    },
    add: ({ rankings }, value: SampleRankings) => rankings.push(value),
  },
  {
    shape: {
      fields: {
        requests: "count",
        probes: { list: { fields: { positive: "string", difference: MEASURED, positiveShare: "number" } } },
      },
    },
    add: ({ bias }, value: BiasReport) => bias.push(value),
  },
  {
    shape: { fields: { tokenCount: "count", scores: { fields: {} }, falsePositives: { fields: {} } } },
    add: ({ detections }, value: CardResults["detections"][number]) => detections.push(value),
  },
  {
    shape: {
      fields: { rows: { list: { fields: { domain: "string", generator: "string", separations: { fields: {} } } } } },
    },
    add: ({ separations }, { rows }: { rows: SeparationRow[] }) => separations.push(...rows),
  },
  {
    shape: {
      fields: {
        watermarks: {
          list: {
            fields: {
              scheme: "string",
              texts: "count",
              byLength: { optional: { list: { fields: { length: "count", text: FOUND } } } },
              human: { optional: { fields: { passages: "count", found: FOUND } } },
            },
          },
        },
      },
    },
    add: (results, value: { watermarks: WatermarkFigures[] }) => results.watermarks.push(...value.watermarks),
  },
  {
    shape: {
      fields: {
        format: { oneOf: ["gpt2-ts detection calibration"] },
        set: { fields: { name: "string", texts: "count" } },
        lengths: { list: { fields: { tokens: "count" } } },
      },
    },
    add: ({ calibrations }, value: Calibration) => calibrations.push(value),
  },
  {
    shape: {
      fields: {
        training: { fields: {} },
        sets: { list: { fields: { title: "string", ngrams: "count", overlap: "number" } } },
      },
    },
    add: ({ overlaps }, value: Overlaps) => overlaps.push(value),
  },
];

type Writable<T> = { [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

export interface ResultFile {
  readonly path: string;
  /** Parsed JSON. */
  readonly value: unknown;
}

/** Sorts results by kind. @throws {DataError} a file is of another kind. */
export function gatherResults(files: readonly ResultFile[]): CardResults {
  const results: Writable<CardResults> = {
    evaluations: [],
    extraction: [],
    rankings: [],
    bias: [],
    detections: [],
    separations: [],
    watermarks: [],
    calibrations: [],
    overlaps: [],
  };
  for (const { path, value } of files) {
    const kind = KINDS.find(({ shape }) => mismatch(value, shape) === undefined);
    if (!kind) {
      const expected =
        "JSON from gpt2 eval, reproduce, extract, detect or bias, or from the scripts that write figures";
      throw new DataError({ op: `reading ${path}`, expected, got: "other JSON" });
    }
    kind.add(results, value as never);
  }
  return results;
}
