import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import {
  answerF1,
  answerWords,
  bestOf,
  exactMatch,
  leaveOneOut,
  openExactMatch,
} from "../../src/evaluate/metrics/answers.js";
import type { BleuTokenization } from "../../src/evaluate/metrics/bleu.js";
import { bleuCounts, bleuScore, bleuSignature } from "../../src/evaluate/metrics/bleu.js";
import { bootstrap, meanMetric, measure, perplexityMetric } from "../../src/evaluate/metrics/metric.js";
import { porterStem } from "../../src/evaluate/metrics/porter-stemmer.js";
import { type RougeScore, rougeL, rougeLsum, rougeN, rougeWords } from "../../src/evaluate/metrics/rouge.js";
import { packageFile } from "../../src/util/package-root.js";

type RougeKind = "rouge1" | "rouge2" | "rougeL" | "rougeLsum";

/** Made by scripts/python/make_metrics_fixture.py. */
interface Fixture {
  readonly made: { readonly sacrebleu: string };
  readonly bleu: readonly {
    readonly translations: readonly string[];
    readonly references: readonly (readonly string[])[];
    readonly scores: Readonly<
      Record<BleuTokenization, { readonly score: number; readonly counts: number[]; readonly signature: string }>
    >;
  }[];
  readonly rouge: readonly {
    readonly text: string;
    readonly reference: string;
    readonly scores: Readonly<Record<"plain" | "stemmed", Record<RougeKind, [number, number, number]>>>;
  }[];
  readonly stems: Readonly<Record<string, string>>;
  readonly answers: {
    readonly normalized: Readonly<Record<string, string>>;
    readonly cases: readonly {
      readonly answer: string;
      readonly accepted: readonly string[];
      readonly exactMatch: number;
      readonly f1: number;
      readonly coqaExactMatch: number;
      readonly coqaF1: number;
      readonly openExactMatch: number;
    }[];
  };
}

const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/evaluate/metrics.json"), "utf8")) as Fixture;

/** Sums in another order, in double precision. */
function assertNear(what: string, got: number, want: number): void {
  assert.ok(Math.abs(got - want) <= 1e-12 * Math.max(1, Math.abs(want)), `${what}: ${got}, want ${want}`);
}

const sumOf = (rows: readonly (readonly number[])[]): number[] =>
  rows.reduce<number[]>((sums, row) => row.map((x, i) => x + (sums[i] ?? 0)), []);

describe("BLEU", () => {
  it("is sacreBLEU's, with every count", () => {
    assert.ok(fixture.bleu.length >= 10);
    for (const [i, { translations, references, scores }] of fixture.bleu.entries()) {
      for (const tokenization of ["13a", "intl", "none"] as const) {
        const { score, counts, signature } = scores[tokenization];
        const rows = translations.map((text, k) => bleuCounts(text, references[k]!, tokenization));
        assert.deepEqual(sumOf(rows), counts, `corpus ${i}, ${tokenization}`);
        assertNear(`corpus ${i}, ${tokenization}`, bleuScore(counts), score);
        assert.equal(bleuSignature(tokenization, references[0]!.length, fixture.made.sacrebleu), signature);
      }
    }
  });

  it("differs between tokenizations on the corpora", () => {
    const scores = fixture.bleu.map(({ scores }) => [scores["13a"].score, scores.intl.score, scores.none.score]);
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const)
      assert.ok(scores.some((row) => row[a] !== row[b]));
  });
});

describe("ROUGE", () => {
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  for (const [name, stem] of [
    ["plain", false],
    ["stemmed", true],
  ] as const) {
    it(`is rouge-score's, ${name}`, () => {
      for (const [i, { text, reference, scores }] of fixture.rouge.entries()) {
        const words = rougeWords(text, stem);
        const wanted = rougeWords(reference, stem);
        const sentences = (all: string) => lines(all).map((line) => rougeWords(line, stem));
        const got: Record<RougeKind, RougeScore> = {
          rouge1: rougeN(words, wanted, 1),
          rouge2: rougeN(words, wanted, 2),
          rougeL: rougeL(words, wanted),
          rougeLsum: rougeLsum(sentences(text), sentences(reference)),
        };
        for (const kind of Object.keys(got) as RougeKind[]) {
          const { precision, recall, f } = got[kind];
          for (const [k, x] of [precision, recall, f].entries()) {
            assertNear(`pair ${i}, ${kind}, ${["precision", "recall", "F"][k]}`, x, scores[name][kind][k]!);
          }
        }
      }
    });
  }

  it("stems as NLTK's Porter stemmer", () => {
    const words = Object.entries(fixture.stems);
    assert.ok(words.length > 2500);
    for (const [word, stem] of words) assert.equal(porterStem(word), stem, word);
  });
});

describe("answers", () => {
  it("are normalized as by SQuAD's script", () => {
    for (const [answer, normalized] of Object.entries(fixture.answers.normalized)) {
      assert.equal(answerWords(answer).join(" "), normalized, JSON.stringify(answer));
    }
  });

  it("are compared as by the scripts of SQuAD, CoQA and Natural Questions", () => {
    const { cases } = fixture.answers;
    assert.ok(cases.length > 50);
    for (const { answer, accepted, ...want } of cases) {
      const what = `${JSON.stringify(answer)} for ${JSON.stringify(accepted)}`;
      assert.equal(bestOf(exactMatch, answer, accepted), want.exactMatch, what);
      assertNear(what, bestOf(answerF1, answer, accepted), want.f1);
      assertNear(what, leaveOneOut(exactMatch, answer, accepted), want.coqaExactMatch);
      assertNear(what, leaveOneOut(answerF1, answer, accepted), want.coqaF1);
      assert.equal(openExactMatch(answer, accepted), want.openExactMatch, what);
    }
  });
});

describe("the bootstrap", () => {
  it("gives the same interval for the same seed, another for another", () => {
    const values = Array.from({ length: 50 }, (_, i) => Math.sin(i));
    const mean = (indices: Int32Array) => indices.reduce((sum, i) => sum + values[i]!, 0) / indices.length;
    assert.deepEqual(bootstrap(50, mean, { seed: 3 }), bootstrap(50, mean, { seed: 3 }));
    assert.notDeepEqual(bootstrap(50, mean, { seed: 3 }), bootstrap(50, mean, { seed: 4 }));
  });

  it("is the normal approximation's interval for a mean of many", () => {
    // 400 items, 100 of them right: the standard error is sqrt(p (1 - p) / n).
    const right = (i: number) => i % 4 === 0;
    const mean = (indices: Int32Array) => indices.filter(right).length / indices.length;
    const { low, high } = bootstrap(400, mean, { resamples: 4000 });
    const margin = 1.96 * Math.sqrt((0.25 * 0.75) / 400);
    // Binomial steps are 1/400; 4000 resamples give a quantile to about a tenth of the margin.
    for (const [got, want] of [
      [low, 0.25 - margin],
      [high, 0.25 + margin],
    ] as const) {
      assert.ok(Math.abs(got - want) < 0.1 * margin + 1 / 400, `${got}, want ${want}`);
    }
  });

  it("holds for metrics of sums, leaving out items that do not count", () => {
    const outcomes = [
      { logprob: -2, words: 1 },
      { logprob: -6, words: 3 },
    ];
    const perplexity = measure(
      perplexityMetric<(typeof outcomes)[number]>(
        "x",
        (o) => o.logprob,
        (o) => o.words,
      ),
      outcomes,
    );
    assertNear("perplexity", perplexity.value, Math.exp(8 / 4));
    assert.deepEqual(perplexity.interval, { low: Math.exp(2), high: Math.exp(2) });
    const accuracy = measure(
      meanMetric<number>("y", (x) => (x < 0 ? undefined : x > 5)),
      [-1, 6, 2, 9, -3],
    );
    assertNear("accuracy", accuracy.value, 2 / 3);
    assert.equal(accuracy.items, 3);
    assert.ok(
      Number.isNaN(
        measure(
          meanMetric<number>("y", () => undefined),
          [1, 2],
        ).value,
      ),
    );
  });
});
