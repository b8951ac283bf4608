import type { Command } from "commander";
import { jsonlFiles } from "../../data/examples/prepare-lines.js";
import { type AskedQuestion, askedQuestion, readQuestions } from "../../data/examples/question-lines.js";
import { UsageError } from "../../errors.js";
import {
  type ScoredQuestion,
  type SquadPart,
  type SquadReport,
  type SquadThreshold,
  squadReport,
} from "../../evaluate/metrics/squad.js";
import { progress } from "../../util/progress.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder } from "../model.js";
import { addEncoderOptions, count, number } from "../options.js";
import { formatPercent, plural, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface AnswerFlags extends EncoderFlags {
  readonly context?: string;
  readonly file?: string;
  readonly data?: string[];
  readonly threshold?: number;
  readonly topK: number;
  readonly answerLength: number;
  /** False with --no-answer. */
  readonly answer?: boolean;
  readonly json?: true;
}

const HELP = `
The model is a BertForQuestionAnswering; gpt2 task answer asks a GPT-2 instead. A
context longer than the model reads at once is read in windows that overlap.

With --data answers are ranked as in BERT's SQuAD script, and scored as in SQuAD's:
exact match and F1. If some questions have no answer, both are also given by kind, and
with the best thresholds. --json prints each question's answer instead.

Examples:
  $ gpt2 answer "Who wrote Hamlet?" --context "Hamlet is a play by Shakespeare." --model path/to/qa
  $ gpt2 answer "Where was she born?" --file biography.txt --no-answer --model path/to/qa
  $ gpt2 answer --data dev-v2.0.json --model runs/qa/model`;

/** Adds `gpt2 answer`. */
export function registerAnswer(program: Command): void {
  const command = program
    .command("answer")
    .summary("find the answer to a question in a text, with a fine-tuned BERT")
    .description("Print the span of a text that answers a question.")
    .argument("[question...]", "the question")
    .option("--context <text>", "the text in which to find the answer")
    .option("-f, --file <path>", "read that text from a file; - for standard input")
    .option("--data <path...>", "answer many questions, and score the answers: SQuAD's files, or JSONL of them")
    .option("--threshold <x>", "with --data: by how much 'no answer' must lead (default: 0 if some have none)", number)
    .option("-k, --top-k <n>", "answers to print", count, 1)
    .option("--answer-length <n>", "maximum length of an answer, in tokens", count, 15)
    .option("--no-answer", "allow no answer, for models trained on questions without one")
    .option("--json", "print JSON in the form of transformers' pipeline");
  addEncoderOptions(command).addHelpText("after", HELP).action(answer);
}

async function answer(words: string[], flags: AnswerFlags): Promise<void> {
  const { context: given, file, data, topK, answerLength: maxAnswerLength, json } = flags;
  if (data !== undefined) {
    const other = words.length > 0 ? words.join(" ") : given !== undefined ? "--context" : file && "--file";
    if (other !== undefined) {
      throw new UsageError({ op: "gpt2 answer --data", expected: "no other question or text", got: other });
    }
    await interruptible((signal) => answerAll(data, flags, signal));
    return;
  }
  if (words.length === 0) {
    throw new UsageError({ op: "gpt2 answer", expected: "a question, or --data", got: "neither" });
  }
  if ((given === undefined) === (file === undefined)) {
    const got = given === undefined ? "neither" : "both";
    throw new UsageError({ op: "gpt2 answer", expected: "a text in --context, or --file", got });
  }
  await interruptible(async (signal) => {
    const context = given ?? (await readTexts("answer", { words: [], file }))[0]!.text;
    await using model = await loadEncoder(flags, signal);
    const allowNoAnswer = flags.answer === false;
    const input = { question: words.join(" "), context };
    const answers = await model.answer(input, { topK, maxAnswerLength, allowNoAnswer, signal });
    if (json) printJson(answers);
    else
      printLines(answers.map((found) => `${formatPercent(found.score, 1).padStart(6)}  ${found.answer || "(none)"}`));
  });
}

/** Answers questions whose answers are known, and scores them. */
async function answerAll(data: readonly string[], flags: AnswerFlags, signal: AbortSignal): Promise<void> {
  const questions: AskedQuestion[] = [];
  for await (const line of readQuestions(jsonlFiles(data, { json: true }))) questions.push(askedQuestion(line));
  const { threshold = questions.some(({ answers }) => answers.length === 0) ? 0 : Number.POSITIVE_INFINITY } = flags;
  await using model = await loadEncoder(flags, signal);
  const line = progress({ label: "answer", total: questions.length, unit: "questions" });
  const scored: (ScoredQuestion & { id: string | undefined; question: string })[] = [];
  try {
    for (const { id, question, context, answers } of questions) {
      const found = await model.bestAnswers({ question, context }, { signal });
      const text = found.noAnswer > threshold ? "" : (found.answers[0]?.answer ?? "");
      const accepted = answers.map((answer) => answer.text);
      scored.push({ id, question, answer: text, accepted, noAnswer: found.noAnswer });
      line.update(scored.length);
    }
  } finally {
    line.done();
  }
  if (flags.json) for (const result of scored) printJson(result);
  else printLines(reportLines(squadReport(scored)));
}

function reportLines({ answerable, unanswerable, best, ...all }: SquadReport): string[] {
  const part = ({ exact, f1, questions }: SquadPart, kind: string): string =>
    `${plural(questions, "question")}${kind}: exact match ${formatPercent(exact)}, F1 ${formatPercent(f1)}`;
  if (!unanswerable) return [part(all, "")];
  const threshold = ({ score, threshold: at }: SquadThreshold): string =>
    `${formatPercent(score)} at ${at.toPrecision(4)}`;
  return [
    part(all, ""),
    ...(answerable ? [part(answerable, " with an answer")] : []),
    part(unanswerable, " without one"),
    ...(best ? [`best thresholds: exact match ${threshold(best.exact)}, F1 ${threshold(best.f1)}`] : []),
  ];
}
