import { DataError } from "../../errors.js";
import { encodePair } from "../../tokenizer/encode-pair.js";
import { type DataFile, readFirst } from "../data/source.js";
import { textOf, unescapeEntities } from "../data/text-formats.js";
import { meanMetric } from "../metrics/metric.js";
import { logLikelihoods, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = {
  name: "wsc273",
  origin:
    "https://github.com/vid-koci/bert-commonsense (data/wsc273.txt) or " +
    "https://cs.nyu.edu/~davise/papers/WinogradSchemas/WSCollection.xml",
};
/** The collection has grown since; results are reported on the first 273. */
const PROBLEMS = 273;

/** Pronouns that candidates replace in the genitive; the masked file does not say which three these are. */
const POSSESSIVE = /^(?:his|their|its|my|our|your)$/i;

/** A sentence whose pronoun refers to one of two candidates. */
export interface WinogradProblem {
  readonly before: string;
  readonly after: string;
  readonly candidates: readonly string[];
  readonly right: number;
}

interface WinogradOutcome extends Outcome {
  /** Log-probability from the candidate on, with the right candidate and with the other. */
  readonly full: readonly [right: number, wrong: number];
  /** Log-probability of the text after the candidate. */
  readonly partial: readonly [right: number, wrong: number];
}

/** Winograd schemas (Levesque et al. 2012), scored as Trinh & Le (2018). */
export const winograd: Task = {
  name: "winograd",
  version: 1,
  about:
    "which of two candidates a pronoun refers to: accuracy by the whole sentence, and by the text after the pronoun",
  options: {},
  prepare: async (setup) => {
    const file = await readFirst(setup.source, INFO, ["wsc273.txt", "WSCollection.xml"]);
    const problems = file.path.endsWith(".xml") ? readCollection(file) : readMasked(file);
    const accuracy = (name: string, scores: (o: WinogradOutcome) => readonly [number, number]) =>
      // The right candidate has to be likelier; a tie counts as wrong.
      meanMetric<WinogradOutcome>(name, (o) => scores(o)[0] > scores(o)[1]);
    return evaluation<WinogradProblem, WinogradOutcome>({
      items: problems,
      run: (problem) => resolvePronoun(problem, setup),
      texts: (problem) => [solvedSentence(problem)],
      metrics: [
        accuracy("accuracy, partial scoring", (o) => o.partial),
        accuracy("accuracy, full scoring", (o) => o.full),
      ],
      files: [file],
    });
  },
};

/** Problems of five lines: sentence with [MASK], the mask, candidates, the right one, and a blank line. */
function readMasked(file: DataFile): WinogradProblem[] {
  const blocks = textOf(file)
    .trim()
    .split(/\n\s*\n/);
  return blocks.map((block, i) => {
    const [sentence = "", , list = "", answer = ""] = block.split("\n");
    const [before, after] = sentence.split("[MASK]");
    const candidates = list.split(",").map((candidate) => candidate.trim());
    const right = candidates.indexOf(answer.trim());
    if (before === undefined || after === undefined || right < 0 || candidates.length !== 2) {
      const expected = "a sentence with [MASK], two candidates, and the right one";
      throw new DataError({ op: `${file.path}, problem ${i + 1}`, expected, got: block.slice(0, 200) });
    }
    return { before, after, candidates, right };
  });
}

/** Davis's collection: `<schema>` with `<txt1>`, `<pron>`, `<txt2>`, two `<answer>` and `<correctAnswer>`. */
function readCollection(file: DataFile): WinogradProblem[] {
  const schemas = [...textOf(file).matchAll(/<schema>(.*?)<\/schema>/gs)].slice(0, PROBLEMS);
  return schemas.map(([, schema = ""], i) => {
    const texts = (tag: string) =>
      [...schema.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, text]) =>
        unescapeEntities(text!).replace(/\s+/g, " ").trim(),
      );
    const candidates = texts("answer");
    const right = ["A", "B"].indexOf(texts("correctAnswer")[0]?.slice(0, 1) ?? "");
    if (candidates.length !== 2 || right < 0) {
      const expected = "two answers and the right one's letter";
      throw new DataError({ op: `${file.path}, schema ${i + 1}`, expected, got: schema.trim().slice(0, 200) });
    }
    const genitive = POSSESSIVE.test(texts("pron")[0] ?? "") ? "'s" : "";
    const [before = "", after = ""] = [texts("txt1")[0], texts("txt2")[0]];
    return { before, after: `${genitive} ${after}`, candidates, right };
  });
}

/** A candidate in the sentence's case: capitalized at its beginning, articles and pronouns in lower case elsewhere. */
export function fitCandidate(before: string, candidate: string): string {
  const atStart = before.trim() === "" || /[.!?]["'”’]?\s*$/.test(before);
  if (atStart) return candidate.slice(0, 1).toUpperCase() + candidate.slice(1);
  const isName = !/^(?:the|a|an|my|his|her|its|our|their|your|some|this|that|these|those)\s/i.test(candidate);
  return isName ? candidate : candidate.slice(0, 1).toLowerCase() + candidate.slice(1);
}

/** The sentence with a candidate in place of the pronoun, in three parts. */
function sentenceWith({ before, after }: WinogradProblem, candidate: string) {
  const start = before.trim();
  const rest = after.trim();
  const space = /^[,.;:!?']/.test(rest) ? "" : " "; // Punctuation and a genitive follow the candidate directly.
  const filled = fitCandidate(before, candidate);
  return { start, filled: start === "" ? filled : ` ${filled}`, rest: `${space}${rest}` };
}

function solvedSentence(problem: WinogradProblem): string {
  const { start, filled, rest } = sentenceWith(problem, problem.candidates[problem.right]!);
  return start + filled + rest;
}

function* resolvePronoun(
  problem: WinogradProblem,
  { tokenizer, endOfText }: TaskSetup,
): RequestGenerator<WinogradOutcome> {
  const { candidates, right } = problem;
  const sentences = candidates.map((candidate) => {
    const { start, filled, rest } = sentenceWith(problem, candidate);
    return { start, filled, pair: encodePair(tokenizer, endOfText, start, filled + rest) };
  });
  const answers = yield* logLikelihoods(sentences.map(({ pair }) => pair));
  const full = answers.map(({ logprob }) => logprob);
  const partial = sentences.map(({ start, filled }, i) => {
    const skip = encodePair(tokenizer, endOfText, start, filled).continuation.length;
    return answers[i]!.logprobs.slice(skip).reduce((sum, x) => sum + x, 0);
  });
  const inOrder = (scores: readonly number[]) => [scores[right]!, scores[1 - right]!] as const;
  return { full: inOrder(full), partial: inOrder(partial) };
}
