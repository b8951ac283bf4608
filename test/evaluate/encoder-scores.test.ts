/** Scores of named entities and of answers against seqeval and SQuAD's own script (test/fixtures/evaluate/encoder-scores.json). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { entitiesOf, entityReport } from "../../src/evaluate/metrics/entities.js";
import { type ScoredQuestion, squadReport } from "../../src/evaluate/metrics/squad.js";
import { packageFile } from "../../src/util/package-root.js";

interface Answers {
  readonly questions: readonly ScoredQuestion[];
  readonly result: Readonly<Record<string, number>>;
}

const { tags, squad1, squad2 } = JSON.parse(
  readFileSync(packageFile("test/fixtures/evaluate/encoder-scores.json"), "utf8"),
) as {
  readonly tags: {
    readonly texts: readonly [string[], string[]][];
    readonly entities: readonly (readonly [string, number, number])[][];
    readonly accuracy: number;
    readonly micro: readonly number[];
    readonly macroF1: number;
    readonly types: Readonly<Record<string, readonly number[]>>;
  };
  readonly squad1: Answers;
  readonly squad2: Answers;
};

const close = (got: number, want: number, what: string): void =>
  assert.ok(Math.abs(got - want) < 1e-12, `${what}: expected ${want}, got ${got}`);

describe("entities in tags", () => {
  it("are seqeval's, in good tags and in broken ones", () => {
    for (const [i, [expected]] of tags.texts.entries()) {
      const got = entitiesOf(expected).map(({ type, start, end }) => [type, start, end]);
      assert.deepEqual(got, tags.entities[i], expected.join(" "));
    }
  });

  it("score as seqeval says", () => {
    const report = entityReport(tags.texts);
    assert.equal(report.texts, tags.texts.length);
    close(report.accuracy, tags.accuracy, "accuracy");
    for (const [i, name] of (["precision", "recall", "f1"] as const).entries())
      close(report[name], tags.micro[i]!, name);
    close(report.macroF1, tags.macroF1, "macro F1");
    assert.deepEqual(
      report.entities.map(({ type }) => type),
      Object.keys(tags.types),
    );
    for (const { type, precision, recall, f1, count } of report.entities) {
      for (const [i, value] of [precision, recall, f1, count].entries()) close(value, tags.types[type]![i]!, type);
    }
  });

  it("of nothing are 0", () => {
    const { f1, accuracy, entities } = entityReport([]);
    assert.deepEqual([f1, accuracy, entities], [0, 0, []]);
  });
});

describe("answers", () => {
  const percent = (share: number): number => 100 * share;
  const same = (got: number, want: number | undefined, what: string): void =>
    assert.ok(want !== undefined && Math.abs(got - want) < 1e-9, `${what}: expected ${want}, got ${got}`);

  for (const [name, { questions, result }] of Object.entries({ squad1, squad2 })) {
    it(`score as SQuAD's script says: ${name}`, () => {
      const { exact, f1, questions: count, answerable, unanswerable, best } = squadReport(questions);
      same(percent(exact), result.exact, "exact");
      same(percent(f1), result.f1, "f1");
      assert.equal(count, result.total);
      same(percent(answerable!.exact), result.HasAns_exact, "HasAns_exact");
      same(percent(answerable!.f1), result.HasAns_f1, "HasAns_f1");
      assert.equal(answerable!.questions, result.HasAns_total);
      assert.equal(unanswerable?.questions, result.NoAns_total);
      if (!unanswerable) return;
      same(percent(unanswerable.exact), result.NoAns_exact, "NoAns_exact");
      same(percent(unanswerable.f1), result.NoAns_f1, "NoAns_f1");
      same(percent(best!.exact.score), result.best_exact, "best_exact");
      same(best!.exact.threshold, result.best_exact_thresh, "best_exact_thresh");
      same(percent(best!.f1.score), result.best_f1, "best_f1");
      same(best!.f1.threshold, result.best_f1_thresh, "best_f1_thresh");
    });
  }
});
