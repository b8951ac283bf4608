import { UsageError } from "../../errors.js";
import { answerIn, OPEN_ANSWER, questionExample, questionPrompt } from "../../tasks/answer.js";
import { QUESTIONS } from "../../tasks/examples.js";
import { readFirst } from "../data/source.js";
import { jsonLines, stringField, stringsField } from "../data/text-formats.js";
import { openExactMatch } from "../metrics/answers.js";
import { meanMetric, type WholeMetric } from "../metrics/metric.js";
import { generations, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "nq_open", origin: "https://github.com/google-research-datasets/natural-questions (nq_open)" };

const FILES: Readonly<Record<string, string>> = {
  dev: "NQ-open.dev.jsonl",
  "efficientqa-dev": "NQ-open.efficientqa.dev.1.1.jsonl",
  "efficientqa-test": "NQ-open.efficientqa.test.1.1.jsonl",
};

interface Question {
  readonly question: string;
  readonly answers: readonly string[];
}

interface AnswerOutcome extends Outcome {
  readonly question: string;
  readonly answer: string;
  readonly answers: readonly string[];
  readonly right: number;
  /** Log-probability of the answer including its end: the model's confidence. */
  readonly logprob: number;
}

/** Accuracy on the share of questions with the highest confidence. */
const mostConfident = (part: number): WholeMetric<AnswerOutcome> => ({
  name: `exact match, most confident ${100 * part}%`,
  scale: "percent",
  better: "higher",
  of: (outcomes) => {
    const sure = [...outcomes].sort((a, b) => b.logprob - a.logprob);
    const chosen = sure.slice(0, Math.max(1, Math.round(part * sure.length)));
    return chosen.reduce((sum, { right }) => sum + right, 0) / chosen.length;
  },
});

/** Natural Questions without documents (Kwiatkowski et al. 2019, Lee et al. 2019), as section 3.8 of the paper. */
export const naturalQuestions: Task = {
  name: "nq",
  version: 1,
  about: "short answers to questions after example pairs, greedily: exact match, in all and by confidence",
  options: {
    split: { about: "which questions", values: ["dev", "efficientqa-dev", "efficientqa-test"] },
    examples: { about: `pairs in the prompt, at most ${QUESTIONS.length}`, values: ["8"], integer: true },
  },
  prepare: async (setup) => {
    const file = await readFirst(setup.source, INFO, [FILES[setup.options.split!]!]);
    const questions = jsonLines(file).map((record, i) => {
      const place = `${file.path}, question ${i + 1}`;
      return { question: stringField(record, "question", place), answers: stringsField(record, "answer", place) };
    });
    const examples = examplePrompt(Number(setup.options.examples));
    return evaluation<Question, AnswerOutcome>({
      items: questions,
      blockSize: 64,
      run: (question) => answerQuestion(question, examples, setup),
      texts: ({ question, answers }) => [question, ...answers],
      metrics: [meanMetric("exact match", (o) => o.right), ...[0.01, 0.05, 0.1, 0.25].map(mostConfident)],
      files: [file],
    });
  },
};

function examplePrompt(count: number): string {
  if (count > QUESTIONS.length) {
    throw new UsageError({ op: "nq: examples", expected: `at most ${QUESTIONS.length}`, got: `${count}` });
  }
  return QUESTIONS.slice(0, count).map(questionExample).join("");
}

function* answerQuestion(
  { question, answers }: Question,
  examples: string,
  { tokenizer }: TaskSetup,
): RequestGenerator<AnswerOutcome> {
  const prompt = [...tokenizer.encode(`${examples}${questionPrompt(question)}`, { addSpecialTokens: false })];
  const [generated] = yield* generations([{ prompt, ...OPEN_ANSWER }]);
  const answer = answerIn(generated!.text);
  return { question, answer, answers, right: openExactMatch(answer, answers), logprob: generated!.logprob };
}
