import { answerF1, answerWords, bestOf, exactMatch } from "./answers.js";

/**
 * SQuAD's scores (Rajpurkar et al. 2016; 2018, with questions that have no answer), as its evaluation script 2.0
 * computes them.
 */

export interface ScoredQuestion {
  /** The answer given; empty for none. */
  readonly answer: string;
  /** The answers accepted; none if there is none in the context. */
  readonly accepted: readonly string[];
  /** Score of "no answer", for which the best threshold is sought. */
  readonly noAnswer?: number | undefined;
}

export interface SquadPart {
  /** Share of answers that are right after normalization. */
  readonly exact: number;
  /** Mean F1 of words. */
  readonly f1: number;
  readonly questions: number;
}

export interface SquadReport extends SquadPart {
  /** Figures of questions with an answer, and of questions without; absent where there are none. */
  readonly answerable?: SquadPart | undefined;
  readonly unanswerable?: SquadPart | undefined;
  /** The best that a threshold on `noAnswer` gives, above which an answer is dropped; absent without unanswerable questions. */
  readonly best?: { readonly exact: SquadThreshold; readonly f1: SquadThreshold } | undefined;
}

export interface SquadThreshold {
  readonly score: number;
  readonly threshold: number;
}

interface Scores {
  readonly exact: number;
  readonly f1: number;
  readonly hasAnswer: boolean;
  readonly noAnswer: number;
  readonly given: boolean;
}

export function squadReport(questions: readonly ScoredQuestion[]): SquadReport {
  const scores = questions.map(scoresOf);
  const [answerable, unanswerable] = [true, false].map((has) => scores.filter(({ hasAnswer }) => hasAnswer === has));
  const part = (some: readonly Scores[]): SquadPart => ({
    exact: mean(some, "exact"),
    f1: mean(some, "f1"),
    questions: some.length,
  });
  return {
    ...part(scores),
    ...(answerable!.length > 0 && { answerable: part(answerable!) }),
    ...(unanswerable!.length > 0 && {
      unanswerable: part(unanswerable!),
      best: { exact: bestThreshold(scores, "exact"), f1: bestThreshold(scores, "f1") },
    }),
  };
}

function scoresOf({ answer, accepted, noAnswer = 0 }: ScoredQuestion): Scores {
  const wanted = accepted.filter((text) => answerWords(text).length > 0);
  const gold = wanted.length > 0 ? wanted : [""];
  return {
    exact: bestOf(exactMatch, answer, gold),
    f1: bestOf(answerF1, answer, gold),
    hasAnswer: accepted.length > 0,
    noAnswer,
    given: answer !== "",
  };
}

const mean = (scores: readonly Scores[], metric: "exact" | "f1"): number =>
  scores.reduce((sum, score) => sum + score[metric], 0) / Math.max(1, scores.length);

/**
 * Starting with no answers at all, questions are answered in the order of `noAnswer`; the best point on the way is
 * taken.
 */
function bestThreshold(scores: readonly Scores[], metric: "exact" | "f1"): SquadThreshold {
  let current = scores.filter(({ hasAnswer }) => !hasAnswer).length;
  let [best, threshold] = [current, 0];
  for (const score of [...scores].sort((a, b) => a.noAnswer - b.noAnswer)) {
    if (score.hasAnswer) current += score[metric];
    else if (score.given) current--;
    if (current > best) [best, threshold] = [current, score.noAnswer];
  }
  return { score: best / Math.max(1, scores.length), threshold };
}
