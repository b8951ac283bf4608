import type { BERT } from "../../src/bert.js";
import type { GPT2 } from "../../src/gpt2.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { RandomStream } from "../../src/util/random.js";

/**
 * A blank for a word of a sentence: its candidates are the right word and nine words from other blanks, so all are
 * about equally frequent.
 */
export interface Blank {
  readonly left: string;
  readonly right: string;
  /** The first candidate is right. */
  readonly candidates: readonly string[];
}

export const CANDIDATES = 10;

/** A blank in each sentence: a word in lower case that is one token after a space. */
export function blanksOf(sentences: readonly string[], tokenizer: Tokenizer): Blank[] {
  const random = new RandomStream(1);
  const cut = sentences.flatMap((sentence) => {
    const words = [...sentence.matchAll(/(?<= )\p{Ll}+(?= )/gu)].filter(
      ([word]) => tokenizer.encode(` ${word}`).length === 1,
    );
    const word = words[random.below(Math.max(1, words.length))];
    if (word === undefined) return [];
    const end = word.index + word[0].length;
    return [{ left: sentence.slice(0, word.index - 1), right: sentence.slice(end), word: word[0] }];
  });
  return cut.map(({ left, right, word }) => {
    const candidates = new Set([word]);
    while (candidates.size < CANDIDATES) candidates.add(cut[random.below(cut.length)]!.word);
    return { left, right, candidates: [...candidates] };
  });
}

/** For each blank, whether the right candidate is the most probable, and whether the most probable of all tokens is right. */
export interface BlankResult {
  readonly ways: Readonly<Record<string, readonly number[]>>;
}

const isFirst = (scores: readonly number[]): number =>
  Number(scores.every((score, i) => i === 0 || score < scores[0]!));

export async function blanksByGpt2(model: GPT2, blanks: readonly Blank[]): Promise<BlankResult> {
  const { tokenizer, endOfText } = model;
  const ids = (text: string): number[] => Array.from(tokenizer!.encode(text));
  const whole: number[] = [];
  const left: number[] = [];
  const open: number[] = [];
  for (const blank of blanks) {
    const texts = blank.candidates.map((word) => ids(`${blank.left} ${word}${blank.right}`));
    const scores = await model.logLikelihoods(texts.map((continuation) => ({ context: [endOfText!], continuation })));
    whole.push(isFirst(scores.map(({ logprob }) => logprob)));
    const context = [endOfText!, ...ids(blank.left)];
    const requests = blank.candidates.map((word) => ({ context, continuation: ids(` ${word}`), best: true }));
    const after = await model.logLikelihoods(requests);
    left.push(isFirst(after.map(({ logprob }) => logprob)));
    open.push(Number(after[0]!.best[0] === requests[0]!.continuation[0]));
  }
  return { ways: { whole, left, open } };
}

export async function blanksByBert(model: BERT, blanks: readonly Blank[]): Promise<BlankResult> {
  const mask: number[] = [];
  const open: number[] = [];
  for (const { left, right, candidates } of blanks) {
    const text = `${left} ${model.tokenizer!.maskToken}${right}`;
    const targets = candidates.map((word) => ` ${word}`);
    const filled = await model.fillMask(text, { targets, topK: targets.length });
    const scores = targets.map((word) => filled.find(({ token_str }) => token_str === word)!.score);
    mask.push(isFirst(scores));
    const [best] = await model.fillMask(text, { topK: 1 });
    open.push(Number(best!.token_str === targets[0]));
  }
  return { ways: { mask, open } };
}
