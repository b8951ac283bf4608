import { type Alternative, likeliestOf } from "./generate.js";
import type { Scoring } from "./job.js";

/** The score of a prompt's token, given the tokens before it. */
export interface PromptScore {
  readonly logprob: number;
  /** The likeliest tokens at its position. */
  readonly alternatives: readonly Alternative[];
}

/** Scores a prompt's tokens from the second on. Once the prompt is read, `scores[i]` is the score of token i + 1. */
export function promptScoring(
  tokens: readonly number[],
  alternatives: number,
  vocabLimit: number,
): { readonly scoring: Scoring; readonly scores: PromptScore[] } {
  const scores: PromptScore[] = [];
  const rows = new Map<number, { token: number; logit: number }[]>();
  const targets = tokens.slice(1);
  const scoring: Scoring = {
    from: 0,
    targets,
    best: alternatives > 0,
    vocabLimit,
    rows: alternatives > 1 ? [0, targets.length] : undefined,
    row: (logits, i) => rows.set(i, likeliestOf(logits.subarray(0, vocabLimit), alternatives)),
    score: (i, { logprob, best, bestLogprob }) => {
      const likeliest = rows.get(i) ?? [];
      rows.delete(i);
      const others = likeliest.map(({ token, logit }) => {
        return { token, logprob: bestLogprob + (logit - likeliest[0]!.logit) };
      });
      const known = alternatives === 1 ? [{ token: best, logprob: bestLogprob }] : others;
      scores[i] = { logprob, alternatives: known };
    },
  };
  return { scoring, scores };
}
