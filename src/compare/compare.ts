import type { BERT } from "../bert.js";
import { UsageError } from "../errors.js";
import type { GPT2 } from "../gpt2.js";
import { checkOptionNames } from "../util/nearest.js";

/**
 * One text read by a GPT-2 and by a BERT. Their numbers are not comparable: a GPT-2's log-likelihood is the text's, a BERT's
 * pseudo-log-likelihood is not one.
 */

/** A blank in a text. */
export const BLANK = "[MASK]";

export interface CompareOptions {
  /** Words to fill the blank with; by default the BERT's five most probable tokens. */
  readonly candidates?: readonly string[] | undefined;
  /** Number of tokens that each model writes after the text; default 8, 0 for none. */
  readonly generate?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BlankCandidate {
  readonly word: string;
  /** BERT: the word's share of the candidates' probability at the mask, from both sides. */
  readonly bert: number;
  /** GPT-2: the word's share by the likelihood of the whole text with the word in the blank. */
  readonly gpt2: number;
  /** GPT-2: its share by the likelihood of the word after the left side alone. */
  readonly gpt2Left: number;
}

export interface Comparison {
  /** The text, with the BERT's first candidate in its blank. */
  readonly text: string;
  readonly blank?: readonly BlankCandidate[];
  readonly gpt2: Reading;
  readonly bert: Reading;
}

export interface Reading {
  readonly tokens: readonly string[];
  /** Natural logarithms of each token's probability: given the tokens before it, or with it masked. */
  readonly logprobs: readonly number[];
  /** The model's continuation of the text; undefined if none was requested. */
  readonly continuation?: string | undefined;
}

/** @throws {UsageError} several blanks, or a candidate that is not a single token of the BERT. */
export async function compare(gpt2: GPT2, bert: BERT, text: string, options: CompareOptions = {}): Promise<Comparison> {
  checkOptionNames("comparing", options, { candidates: true, generate: true, signal: true });
  const { candidates, generate = 8, signal } = options;
  const parts = text.split(BLANK);
  if (parts.length > 2) {
    throw new UsageError({ op: "comparing", expected: `at most one ${BLANK}`, got: String(parts.length - 1) });
  }
  const blank = parts.length === 2 ? await fillBlank(gpt2, bert, parts, candidates, signal) : undefined;
  const whole = blank ? inBlank(parts, blank[0]!.word) : text;
  return {
    text: whole,
    ...(blank && { blank }),
    gpt2: await readByGpt2(gpt2, whole, generate, signal),
    bert: await readByBert(bert, whole, generate, signal),
  };
}

/** A word of byte-level BPE brings its own space, or takes none. */
const inBlank = ([left = "", right = ""]: readonly string[], word: string): string =>
  word.startsWith(" ") ? left.trimEnd() + word + right : left + word + right;

async function fillBlank(
  gpt2: GPT2,
  bert: BERT,
  parts: readonly string[],
  candidates: readonly string[] | undefined,
  signal: AbortSignal | undefined,
): Promise<BlankCandidate[]> {
  const targets = candidates?.map((word) => inVocabulary(bert, parts[0]!, word));
  const filled = await bert.fillMask(parts.join(BLANK), { ...(targets && { targets, topK: targets.length }), signal });
  const words = filled.map(({ token_str }) => token_str);
  const texts = words.map((word) => inBlank(parts, word));
  const scores = await gpt2.score(texts, { signal });
  const left = parts[0]!.trimEnd();
  const requests = words.map((word) => ({
    context: left,
    continuation: left === "" ? word.trimStart() : ` ${word.trimStart()}`,
  }));
  const likelihoods = await gpt2.logLikelihoods(requests, { signal });
  const whole = shares(scores.map(({ logprob }) => logprob));
  const after = shares(likelihoods.map(({ logprob }) => logprob));
  const masked = shares(filled.map(({ score }) => Math.log(score)));
  return words.map((word, i) => ({ word, bert: masked[i]!, gpt2: whole[i]!, gpt2Left: after[i]! }));
}

/** A word after a space, with the space where the vocabulary has it so: that of a byte-level BPE, whose mask takes the space too. */
function inVocabulary({ tokenizer }: BERT, left: string, word: string): string {
  const spaced = ` ${word}`;
  return left.endsWith(" ") && !word.startsWith(" ") && tokenizer?.idOf(spaced) !== undefined ? spaced : word;
}

/** Softmax of logarithms. */
function shares(logs: readonly number[]): number[] {
  const most = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

async function readByGpt2(
  gpt2: GPT2,
  text: string,
  generate: number,
  signal: AbortSignal | undefined,
): Promise<Reading> {
  const { tokens, logprobs } = await gpt2.score(text, { signal });
  const pieces = tokens.map((id) => gpt2.tokenizer!.decode([id]));
  const greedy = { maxNewTokens: generate, temperature: 0, signal };
  const continuation = generate > 0 ? (await gpt2.complete(text, greedy)).text : undefined;
  return { tokens: pieces, logprobs: [...logprobs], continuation };
}

async function readByBert(
  bert: BERT,
  text: string,
  generate: number,
  signal: AbortSignal | undefined,
): Promise<Reading> {
  const { tokens, logprobs } = await bert.score(text, { signal });
  const pieces = tokens.map((id) => bert.tokenizer!.decode([id]));
  return { tokens: pieces, logprobs: [...logprobs], continuation: await forcedToWrite(bert, text, generate, signal) };
}

/**
 * A continuation forced from a BERT: a mask after the text, its most probable token, a mask after that. It was not trained for
 * this: it has only seen complete texts, and takes the mask for a text's last word.
 */
async function forcedToWrite(
  bert: BERT,
  text: string,
  count: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (count === 0) return undefined;
  let written = "";
  for (let i = 0; i < count; i++) {
    const [best] = await bert.fillMask(`${text + written} ${BLANK}`, { topK: 1, signal });
    const word = best!.token_str;
    if (word.startsWith("##")) written += word.slice(2);
    else written += word.startsWith(" ") ? word : ` ${word}`;
  }
  return written;
}
