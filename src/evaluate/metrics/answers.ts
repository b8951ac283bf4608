import { splitWords } from "./white-space.js";

/**
 * Metrics of short answers: the normalization, exact match and F1 of SQuAD's evaluation script (Rajpurkar et al. 2016),
 * shared by those of CoQA and Natural Questions (open).
 */

/** Python's string.punctuation. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/**
 * Articles as whole words: Python's \b treats every Unicode letter and digit as part of a word, JavaScript's only ASCII.
 */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
/** Words of an answer: lower-cased, without ASCII punctuation and articles. */
export function answerWords(answer: string): string[] {
  return splitWords(answer.toLowerCase().replace(PUNCTUATION, "").replace(ARTICLES, " "));
}

/** 1 if both have the same words, else 0. */
export function exactMatch(answer: string, wanted: string): number {
  return answerWords(answer).join(" ") === answerWords(wanted).join(" ") ? 1 : 0;
}

/** Harmonic mean of precision and recall over words, counted with multiplicity. */
export function answerF1(answer: string, wanted: string): number {
  const [words, others] = [answerWords(answer), answerWords(wanted)];
  // An empty answer is right only where the reference is empty.
  if (words.length === 0 || others.length === 0) return words.length === others.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of others) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of words) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    same++;
    left.set(word, count - 1);
  }
  if (same === 0) return 0;
  const precision = same / words.length;
  const recall = same / others.length;
  return (2 * precision * recall) / (precision + recall);
}

/** The best score over all references. */
export function bestOf(
  metric: (answer: string, wanted: string) => number,
  answer: string,
  accepted: readonly string[],
): number {
  return Math.max(...accepted.map((wanted) => metric(answer, wanted)));
}

/**
 * CoQA's score for a question with several human answers (Reddy et al. 2019, section 5.1). A person's answer is compared
 * with the others'; for a fair comparison the model's score is the mean over leaving out each human answer in turn.
 */
export function leaveOneOut(
  metric: (answer: string, wanted: string) => number,
  answer: string,
  accepted: readonly string[],
): number {
  if (accepted.length === 1) return metric(answer, accepted[0]!);
  const scores = accepted.map((_, i) => bestOf(metric, answer, accepted.toSpliced(i, 1)));
  return scores.reduce((sum, x) => sum + x, 0) / scores.length;
}

/**
 * Exact match of Natural Questions (open): {@link exactMatch} after Unicode's canonical decomposition (NFD).
 */
export function openExactMatch(answer: string, accepted: readonly string[]): number {
  const decomposed = answer.normalize("NFD");
  return bestOf(
    exactMatch,
    decomposed,
    accepted.map((wanted) => wanted.normalize("NFD")),
  );
}
