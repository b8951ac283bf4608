import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder } from "../model.js";
import { addEncoderOptions, count } from "../options.js";
import { formatPercent, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface AnswerFlags extends EncoderFlags {
  readonly context?: string;
  readonly file?: string;
  readonly topK: number;
  readonly answerLength: number;
  /** False with --no-answer. */
  readonly answer?: boolean;
  readonly json?: true;
}

const HELP = `
The model is a BertForQuestionAnswering; gpt2 task answer asks a GPT-2 instead. A
context longer than the model reads at once is read in windows that overlap.

Examples:
  $ gpt2 answer "Who wrote Hamlet?" --context "Hamlet is a play by Shakespeare." --model path/to/qa
  $ gpt2 answer "Where was she born?" --file biography.txt --no-answer --model path/to/qa`;

/** Adds `gpt2 answer`. */
export function registerAnswer(program: Command): void {
  const command = program
    .command("answer")
    .summary("find the answer to a question in a text, with a fine-tuned BERT")
    .description("Print the span of a text that answers a question.")
    .argument("<question...>", "the question")
    .option("--context <text>", "the text to find the answer in")
    .option("-f, --file <path>", "read that text from a file; - for standard input")
    .option("-k, --top-k <n>", "answers to print", count, 1)
    .option("--answer-length <n>", "longest answer, in tokens", count, 15)
    .option("--no-answer", "allow that there is none, for a model trained with such questions")
    .option("--json", "print JSON, as transformers' pipeline gives it");
  addEncoderOptions(command).addHelpText("after", HELP).action(answer);
}

async function answer(words: string[], flags: AnswerFlags): Promise<void> {
  const { context: given, file, topK, answerLength: maxAnswerLength, json } = flags;
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
