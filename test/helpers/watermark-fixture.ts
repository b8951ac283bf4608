/** test/fixtures/watermark/expected.json, by scripts/python/make_watermark_fixture.py. */
import { readFileSync } from "node:fs";
import type { ContextScope } from "../../src/generate/watermark/contexts.js";
import type { Candidates } from "../../src/generate/watermark/mark.js";
import { packageFile } from "../../src/util/package-root.js";

export interface WatermarkFixture {
  readonly logits: readonly number[];
  readonly words: readonly {
    readonly key: string;
    readonly context: readonly number[];
    readonly tokens: readonly number[];
    readonly words: readonly number[];
    readonly uniform: readonly number[];
  }[];
  readonly derivedKeys: readonly (readonly [key: string, a: string, b: string])[];
  readonly gumbel: readonly {
    readonly key: string;
    readonly temperature: number;
    readonly tokens: readonly number[];
  }[];
  readonly detection: readonly {
    readonly tokens: readonly number[];
    readonly gumbel: readonly [scored: number, score: number, pValue: number];
    readonly dual: readonly (readonly [alpha: number, score: number, pValue: number])[];
  }[];
  readonly repeats: readonly {
    readonly prompt: readonly number[];
    readonly text: readonly number[];
    readonly cases: readonly {
      readonly width: number;
      readonly maxHistory: number;
      readonly scope: ContextScope;
      readonly repeated: readonly number[];
    }[];
  }[];
  readonly reweighed: {
    readonly context: readonly number[];
    readonly key: string;
    readonly redGreen: readonly number[];
    readonly synthid: readonly number[];
  };
  readonly tails: {
    readonly gamma: readonly (readonly [n: number, x: number, log: number])[];
    readonly binomial: readonly (readonly [k: number, n: number, p: number, log: number])[];
    readonly two: readonly (readonly [n: number, alpha: number, x: number, log: number])[];
  };
  readonly permutations: readonly {
    readonly seed: string;
    readonly size: number;
    readonly first: readonly number[];
    readonly checksum: number;
  }[];
  readonly kgw: readonly {
    readonly config: Readonly<Record<string, unknown>>;
    readonly green: readonly { readonly prompt: readonly number[]; readonly green: readonly number[] }[];
    readonly text: readonly number[];
    readonly all: readonly [scored: number, green: number, zScore: number];
    readonly once: readonly [scored: number, green: number, zScore: number];
  }[];
  readonly synthid: readonly {
    readonly config: Readonly<Record<string, unknown>>;
    readonly prompt: readonly number[];
    readonly text: readonly number[];
    /** Probabilities of {@link STEP_TOKENS} before each of the first tokens of the text. */
    readonly steps: readonly (readonly number[])[];
    readonly g: readonly string[];
    readonly mask: readonly number[];
    readonly mean: number;
    readonly weightedMean: number;
    readonly tableMean: number;
  }[];
}

export const STEP_TOKENS = [0, 1, 2, 50, 299];

/** Integers with more digits than a number holds, the configurations' keys, are strings. */
export function watermarkFixture(): WatermarkFixture {
  const text = readFileSync(packageFile("test/fixtures/watermark/expected.json"), "utf8");
  return JSON.parse(text.replace(/(?<=[[:,])-?\d{17,}(?=[,\]}])/g, '"$&"')) as WatermarkFixture;
}

/** A whole vocabulary as candidates. */
export function candidatesOf(
  logits: ArrayLike<number>,
  { temperature = 1, uniform = () => 0.5 }: { readonly temperature?: number; readonly uniform?: () => number } = {},
): Candidates {
  const max = Math.max(...Array.from(logits));
  const weights = Float64Array.from(logits, (x) => Math.exp((x - max) / temperature));
  return {
    ids: Int32Array.from(logits, (_, i) => i),
    count: logits.length,
    weights,
    uniform,
    draw: () => {
      let left = uniform() * weights.reduce((sum, w) => sum + w, 0);
      return Math.max(
        0,
        weights.findIndex((w) => (left -= w) < 0),
      );
    },
  };
}
