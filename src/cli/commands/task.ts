import { type Command, Option } from "commander";
import { UsageError } from "../../errors.js";
import type { GPT2 } from "../../gpt2.js";
import { checkLabels } from "../../tasks/classify.js";
import type { Pair } from "../../tasks/pairs.js";
import { NORMALIZATIONS, type Normalization } from "../../tasks/scored-choice.js";
import { translationPairs } from "../../tasks/translate.js";
import { readText } from "../input.js";
import { readExamples, readPair } from "../labelled-input.js";
import { loadModel, type ModelFlags } from "../model.js";
import { addModelOptions, collect, number } from "../options.js";
import { interruptible } from "../signals.js";
import type { ReportFlags } from "../task-output.js";
import { noteOmissions, printResult, type Result } from "../task-output.js";

interface TaskFlags extends ModelFlags, ReportFlags {
  readonly file?: string;
  readonly example?: string[];
  readonly examples?: string[];
  readonly maxTokens?: number;
  readonly seed?: number;
}

interface TranslateFlags extends TaskFlags {
  readonly to?: string;
  readonly from?: string;
}

interface SummarizeFlags extends TaskFlags {
  readonly truncate: boolean;
}

interface AnswerFlags extends TaskFlags {
  readonly document?: string;
  readonly history?: string[];
  readonly truncate?: true;
}

interface CompleteFlags extends TaskFlags {
  readonly topK?: number;
}

interface ChoiceFlags extends TaskFlags {
  readonly by: Normalization;
}

interface ClassifyFlags extends ChoiceFlags {
  readonly label?: string[];
  readonly labels?: string;
  readonly kind?: string;
  readonly truncate: boolean;
}

interface ChooseFlags extends ChoiceFlags {
  readonly candidate?: string[];
  readonly candidates?: string;
  readonly space: boolean;
}

const HELP = `
These are demonstrations of what a model has learned from text alone: the larger,
the better. The package's own model and gpt2 (124M) cannot translate; try gpt2-xl.
docs/tasks.md has every prompt.

Examples:
  $ gpt2 task translate --to fr "Where is the station?" --model gpt2-xl
  $ gpt2 task translate "Good morning." --example "Thank you.=Danke." --example "Hello!=Hallo!"
  $ gpt2 task summarize article.txt --model gpt2-xl --show-prompt
  $ gpt2 task answer --document page.txt "Who wrote it?" --history "What is it?=a novel"
  $ gpt2 task answer "who discovered penicillin" --json
  $ gpt2 task classify --labels sport,politics,weather "It rained all night."
  $ gpt2 task complete "oak" --example "cat=animal" --example "rose=flower"
  $ gpt2 task choose "The sky is" --candidates blue,green,loud --by token`;

/** Adds `gpt2 task`. */
export function registerTask(program: Command): void {
  const tasks = program
    .command("task")
    .summary("translate, summarize, answer, classify: tasks stated by a prompt")
    .description("Zero-shot and few-shot tasks, stated by a prompt as in the paper.")
    .addHelpText("after", HELP);
  registerWriting(tasks);
  registerChoosing(tasks);
}

function registerWriting(tasks: Command): void {
  const translate = tasks
    .command("translate")
    .summary("translate a sentence")
    .description(
      "Translate a sentence, after pairs `sentence = translation`; greedily, the first sentence (section 3.7).",
    )
    .argument("[sentence...]", "the sentence; else from --file or a pipe")
    .option("--to <language>", "fr or en, for which there are built-in pairs; others need examples")
    .option("--from <language>", "en or fr (default: the other one)");
  addTaskOptions(translate, "a sentence and its translation", "150").action(runTranslate);

  const summarize = tasks
    .command("summarize")
    .summary("summarize an article")
    .description("Summarize an article: the text after `TL;DR:`, sampled with top-k 2, three sentences (section 3.6).")
    .argument("[file]", "the article; - or none for standard input")
    .option("--seed <n>", "same seed, same summary (default: a new one each time)", number)
    .option("--no-truncate", "refuse an article that does not fit, instead of truncating it");
  addTaskOptions(summarize, "an article and its summary", "100", false).action(runSummarize);

  const answer = tasks
    .command("answer")
    .summary("answer a question, with or without a document")
    .description(
      "Answer a question, greedily, to the end of the line: from a document, after the conversation and `A:` " +
        "(section 3.5); without one, after pairs of questions and answers (section 3.8).",
    )
    .argument("[question...]", "the question; else from --file or a pipe")
    .option("--document <file>", "the document that the question is about; - for standard input")
    .option("--history <q=a>", "an earlier question and its answer; may be given several times", collect)
    .option("--truncate", "truncate a document that does not fit, instead of refusing it");
  addTaskOptions(
    answer,
    "a question and its answer, in place of the built-in ones",
    "40; 32 without a document",
  ).action(runAnswer);

  const complete = tasks
    .command("complete")
    .summary("continue a text, or complete a pair")
    .description(
      "Continue a text, sampled with top-k 40; with examples, complete a pair, greedily, to the end of the line.",
    )
    .argument("[text...]", "the text; else from --file or a pipe")
    .option("--top-k <n>", "sample from the n likeliest tokens; 0: all (default: 40, with examples 1)", number)
    .option("--seed <n>", "same seed, same text (default: a new one each time)", number);
  addTaskOptions(complete, "a pair that shows the pattern", "100; 40 with examples").action(runComplete);
}

function registerChoosing(tasks: Command): void {
  const by = () =>
    new Option("--by <score>", "compare log-probabilities in total, per token, or per byte")
      .choices(NORMALIZATIONS)
      .default("total");

  const classify = tasks
    .command("classify")
    .summary("choose a label for a text")
    .description("Choose the likeliest label for a text after `Text: …` and `Label:`. Not in the paper.")
    .argument("[text...]", "the text; else from --file or a pipe")
    .option("--labels <a,b,c>", "the labels, at least two")
    .option("--label <text>", "a label; may be given several times", collect)
    .option("--kind <word>", "the word for label in the prompt: Topic, Mood (default: Label)")
    .option("--no-truncate", "refuse a text that does not fit, instead of truncating it")
    .addOption(by());
  addTaskOptions(classify, "a text and its label", undefined).action(runClassify);

  const choose = tasks
    .command("choose")
    .summary("choose the likeliest continuation of a context")
    .description("Choose the candidate that is the likeliest after a context and a space.")
    .argument("[context...]", "the context; else from --file or a pipe")
    .option("--candidates <a,b,c>", "the candidates")
    .option("--candidate <text>", "a candidate; may be given several times", collect)
    .option("--no-space", "put no space between the context and the candidates")
    .addOption(by());
  addModelOptions(addOutputOptions(addFileOption(choose))).action(runChoose);
}

/** @param tokens default of --max-tokens, for the help; undefined for tasks that generate nothing */
function addTaskOptions(command: Command, example: string, tokens: string | undefined, file = true): Command {
  if (file) addFileOption(command);
  command
    .option("--example <in=out>", `${example}; may be given several times`, collect)
    .option(
      "--examples <file>",
      'such pairs: JSONL of { "input", "output" }; may be given several times',
      (file: string, before: readonly string[] = []) => [...before, file],
    );
  if (tokens !== undefined) {
    command.option("-n, --max-tokens <n>", `maximum number of tokens to generate (default: ${tokens})`, number);
  }
  return addModelOptions(addOutputOptions(command));
}

const addFileOption = (command: Command): Command =>
  command.option("-f, --file <path>", "read the text from a file; - for standard input");

const addOutputOptions = (command: Command): Command =>
  command.option("--show-prompt", "print the prompt too").option("--json", "print JSON, prompt included");

async function runTranslate(words: string[], flags: TranslateFlags): Promise<void> {
  const options = { ...(await writingOptions(flags)), to: flags.to, from: flags.from };
  // Reports missing examples before a model is loaded.
  translationPairs(options);
  const sentence = await readText({ words, file: flags.file }, "gpt2 task translate", "a sentence");
  await run("translate", flags, (model, signal) => model.task.translate(sentence, { ...options, signal }));
}

async function runSummarize(file: string | undefined, flags: SummarizeFlags): Promise<void> {
  const { seed, truncate } = flags;
  const options = { ...(await writingOptions(flags)), seed, truncate };
  const article = await readText({ words: [], file }, "gpt2 task summarize", "an article in a file");
  await run("summarize", flags, (model, signal) => model.task.summarize(article, { ...options, signal }));
}

async function runAnswer(words: string[], flags: AnswerFlags): Promise<void> {
  const { document: path, truncate } = flags;
  if (path === "-" && words.length === 0 && (flags.file ?? "-") === "-") {
    const got = "both on standard input";
    throw new UsageError({ op: "gpt2 task answer", expected: "a question and a document", got });
  }
  const question = await readText({ words, file: flags.file }, "gpt2 task answer", "a question");
  const document =
    path === undefined ? undefined : await readText({ words: [], file: path }, "gpt2 task answer", "a document");
  const history = flags.history?.map((text): Pair => readPair("--history", text));
  const options = { ...(await writingOptions(flags)), document, history, truncate };
  await run("answer", flags, (model, signal) => model.task.answer(question, { ...options, signal }));
}

async function runComplete(words: string[], flags: CompleteFlags): Promise<void> {
  const { seed, topK } = flags;
  const options = { ...(await writingOptions(flags)), seed, topK };
  const text = await readText({ words, file: flags.file }, "gpt2 task complete", "a text");
  await run("complete", flags, (model, signal) => model.task.complete(text, { ...options, signal }));
}

async function runClassify(words: string[], flags: ClassifyFlags): Promise<void> {
  const { kind, truncate, by } = flags;
  const examples = await readExamples(flags.example, flags.examples);
  const options = { labels: listed(flags.labels, flags.label), kind, examples, truncate, normalization: by };
  checkLabels(options);
  const text = await readText({ words, file: flags.file }, "gpt2 task classify", "a text");
  await run("classify", flags, (model, signal) => model.task.classify(text, { ...options, signal }));
}

async function runChoose(words: string[], flags: ChooseFlags): Promise<void> {
  const candidates = listed(flags.candidates, flags.candidate);
  if (candidates.length === 0) {
    const expected = "candidates, with --candidates or --candidate";
    throw new UsageError({ op: "gpt2 task choose", expected, got: "none" });
  }
  const context = await readText({ words, file: flags.file }, "gpt2 task choose", "a context");
  const spaced = candidates.map((text) => (flags.space && !/\s$/.test(context) ? ` ${text}` : text));
  await run("choose", flags, async (model, signal) => {
    const choice = await model.choose(context, spaced, { normalization: flags.by, signal });
    const named = choice.candidates.map((score, i) => ({ ...score, text: candidates[i]! }));
    return { ...choice, text: candidates[choice.index]!, candidates: named };
  });
}

/** The items of `a,b,c`, and those given singly. */
function listed(list: string | undefined, single: readonly string[] = []): string[] {
  const parts = (list ?? "").split(",").map((part) => part.trim());
  return [...parts.filter((part) => part !== ""), ...single];
}

async function writingOptions({ example, examples, maxTokens }: TaskFlags) {
  return { examples: await readExamples(example, examples), maxNewTokens: maxTokens };
}

async function run(
  task: string,
  flags: TaskFlags,
  call: (model: GPT2, signal: AbortSignal) => Promise<Result>,
): Promise<void> {
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const output = await call(model, signal);
    if (output.omitted) noteOmissions(output.omitted);
    printResult(task, output, flags);
  });
}
