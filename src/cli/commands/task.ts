import { type Command, Option } from "commander";
import { UsageError } from "../../errors.js";
import type { GPT2 } from "../../gpt2.js";
import { checkLabels } from "../../tasks/classify.js";
import type { Pair } from "../../tasks/pairs.js";
import { NORMALIZATIONS, type Normalization } from "../../tasks/scored-choice.js";
import { translationPairs } from "../../tasks/translate.js";
import { readInput } from "../input.js";
import { interruptible } from "../interrupt.js";
import { addModelOptions, collect, loadModel, type ModelFlags, number } from "../options.js";
import { readExamples, readPair } from "../task/pairs.js";
import { omissions, type ReportFlags, type Result, report } from "../task/report.js";

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
These are demonstrations. A language model does them as far as it has picked them
up from its text: the larger, the better. The package's own model and gpt2 (124M)
translate nothing; try gpt2-xl. docs/tasks.md has every prompt.

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
    .summary("translate, summarise, answer, classify: tasks stated by a prompt")
    .description("Tasks that the model was not trained for, stated by a prompt as in the paper.")
    .addHelpText("after", HELP);
  registerWriting(tasks);
  registerChoosing(tasks);
}

function registerWriting(tasks: Command): void {
  const translate = tasks
    .command("translate")
    .summary("a sentence in another language")
    .description(
      "Translate a sentence, after pairs `sentence = translation`; greedily, the first sentence (section 3.7).",
    )
    .argument("[sentence...]", "the sentence; else of --file or piped in")
    .option("--to <language>", "fr or en, for which pairs come along; for others give examples")
    .option("--from <language>", "en or fr (default: the other one)");
  addTaskOptions(translate, "a sentence and its translation", "150").action(runTranslate);

  const summarize = tasks
    .command("summarize")
    .summary("a summary of an article")
    .description("Summarise an article: what follows `TL;DR:`, drawn with top-k 2, three sentences (section 3.6).")
    .argument("[file]", "the article; - or without one, standard input")
    .option("--seed <n>", "same seed, same summary (default: a new one each time)", number)
    .option("--no-truncate", "refuse an article that does not fit, instead of reading its beginning");
  addTaskOptions(summarize, "an article and its summary", "100", false).action(runSummarize);

  const answer = tasks
    .command("answer")
    .summary("a short answer, from a document or without")
    .description(
      "Answer a question, greedily, to the end of the line: from a document, after the conversation and `A:` " +
        "(section 3.5); without one, after pairs of questions and answers (section 3.8).",
    )
    .argument("[question...]", "the question; else of --file or piped in")
    .option("--document <file>", "what the question is about; - is standard input")
    .option("--history <q=a>", "a question and its answer before this one; can be given several times", collect)
    .option("--truncate", "of a document that does not fit read the beginning, instead of refusing it");
  addTaskOptions(answer, "a question and its answer, in place of ours", "40; 32 without a document").action(runAnswer);

  const complete = tasks
    .command("complete")
    .summary("what comes next, or the other half of a pair")
    .description(
      "Continue a text, drawn with top-k 40; or with examples the other half of a pair, greedily, to the end of the line.",
    )
    .argument("[text...]", "the text; else of --file or piped in")
    .option("--top-k <n>", "choose among the n likeliest tokens; 0: all (default: 40, with examples 1)", number)
    .option("--seed <n>", "same seed, same text (default: a new one each time)", number);
  addTaskOptions(complete, "a pair that shows the pattern", "100; 40 with examples").action(runComplete);
}

function registerChoosing(tasks: Command): void {
  const by = () =>
    new Option("--by <score>", "compare log-probabilities in total, or by token, or by byte")
      .choices(NORMALIZATIONS)
      .default("total");

  const classify = tasks
    .command("classify")
    .summary("one of some labels for a text")
    .description("Choose one of some labels for a text: the likeliest after `Text: …` and `Label:`. Not in the paper.")
    .argument("[text...]", "the text; else of --file or piped in")
    .option("--labels <a,b,c>", "the labels, at least two")
    .option("--label <text>", "a label; can be given several times", collect)
    .option("--kind <word>", "what a label is called in the prompt: Topic, Mood (default: Label)")
    .option("--no-truncate", "refuse a text that does not fit, instead of reading its beginning")
    .addOption(by());
  addTaskOptions(classify, "a text and its label", undefined).action(runClassify);

  const choose = tasks
    .command("choose")
    .summary("the likeliest of some texts after a context")
    .description("Choose the text that is the likeliest after a context, a space between them.")
    .argument("[context...]", "the context; else of --file or piped in")
    .option("--candidates <a,b,c>", "the texts to choose from")
    .option("--candidate <text>", "a text to choose from; can be given several times", collect)
    .option("--no-space", "put no space between the context and the candidates")
    .addOption(by());
  addModelOptions(addReportOptions(addFileOption(choose))).action(runChoose);
}

/** @param tokens that are written by default; undefined for tasks that write nothing. */
function addTaskOptions(command: Command, example: string, tokens: string | undefined, file = true): Command {
  if (file) addFileOption(command);
  command
    .option("--example <in=out>", `${example}; can be given several times`, collect)
    .option(
      "--examples <file>",
      'such pairs: JSONL of { "input", "output" }; can be given several times',
      (file: string, before: readonly string[] = []) => [...before, file],
    );
  if (tokens !== undefined) {
    command.option("-n, --max-tokens <n>", `tokens to write at most (default: ${tokens})`, number);
  }
  return addModelOptions(addReportOptions(command));
}

const addFileOption = (command: Command): Command =>
  command.option("-f, --file <path>", "read it from a file; - for standard input");

const addReportOptions = (command: Command): Command =>
  command
    .option("--show-prompt", "print the prompt too, as the model read it")
    .option("--json", "print JSON, prompt included");

async function runTranslate(words: string[], flags: TranslateFlags): Promise<void> {
  const options = { ...(await writingOptions(flags)), to: flags.to, from: flags.from };
  // Told before a model is loaded.
  translationPairs(options);
  const sentence = await inputText("translate", "a sentence", words, flags.file);
  await run("translate", flags, (model, signal) => model.task.translate(sentence, { ...options, signal }));
}

async function runSummarize(file: string | undefined, flags: SummarizeFlags): Promise<void> {
  const { seed, truncate } = flags;
  const options = { ...(await writingOptions(flags)), seed, truncate };
  const article = await inputText("summarize", "an article in a file", [], file);
  await run("summarize", flags, (model, signal) => model.task.summarize(article, { ...options, signal }));
}

async function runAnswer(words: string[], flags: AnswerFlags): Promise<void> {
  const { document: path, truncate } = flags;
  if (path === "-" && words.length === 0 && (flags.file ?? "-") === "-") {
    const got = "both from standard input";
    throw new UsageError({ op: "gpt2 task answer", expected: "a question and a document", got });
  }
  const question = await inputText("answer", "a question", words, flags.file);
  const document = path === undefined ? undefined : await inputText("answer", "a document", [], path);
  const history = flags.history?.map((text): Pair => readPair("--history", text));
  const options = { ...(await writingOptions(flags)), document, history, truncate };
  await run("answer", flags, (model, signal) => model.task.answer(question, { ...options, signal }));
}

async function runComplete(words: string[], flags: CompleteFlags): Promise<void> {
  const { seed, topK } = flags;
  const options = { ...(await writingOptions(flags)), seed, topK };
  const text = await inputText("complete", "a text", words, flags.file);
  await run("complete", flags, (model, signal) => model.task.complete(text, { ...options, signal }));
}

async function runClassify(words: string[], flags: ClassifyFlags): Promise<void> {
  const { kind, truncate, by } = flags;
  const examples = await readExamples(flags.example, flags.examples);
  const options = { labels: listed(flags.labels, flags.label), kind, examples, truncate, normalization: by };
  checkLabels(options);
  const text = await inputText("classify", "a text", words, flags.file);
  await run("classify", flags, (model, signal) => model.task.classify(text, { ...options, signal }));
}

async function runChoose(words: string[], flags: ChooseFlags): Promise<void> {
  const candidates = listed(flags.candidates, flags.candidate);
  if (candidates.length === 0) {
    const expected = "candidates, with --candidates or --candidate";
    throw new UsageError({ op: "gpt2 task choose", expected, got: "none" });
  }
  const context = await inputText("choose", "a context", words, flags.file);
  const spaced = candidates.map((text) => (flags.space && !/\s$/.test(context) ? ` ${text}` : text));
  await run("choose", flags, async (model, signal) => {
    const choice = await model.choose(context, spaced, { normalization: flags.by, signal });
    const named = choice.candidates.map((score, i) => ({ ...score, text: candidates[i]! }));
    return { ...choice, text: candidates[choice.index]!, candidates: named };
  });
}

/** `a,b,c` and what was given one by one. */
function listed(list: string | undefined, single: readonly string[] = []): string[] {
  const parts = (list ?? "").split(",").map((part) => part.trim());
  return [...parts.filter((part) => part !== ""), ...single];
}

async function writingOptions({ example, examples, maxTokens }: TaskFlags) {
  return { examples: await readExamples(example, examples), maxNewTokens: maxTokens };
}

/** Editors and `echo` end a text with a line break that its writer didn't mean. */
async function inputText(
  task: string,
  what: string,
  words: readonly string[],
  file: string | undefined,
): Promise<string> {
  const input = await readInput(words, file);
  const text = new TextDecoder().decode(input ?? new Uint8Array(0));
  if (text.trim() !== "") return words.length > 0 ? text : text.replace(/\r?\n$/, "");
  throw new UsageError({ op: `gpt2 task ${task}`, expected: what, got: "none" });
}

async function run(
  task: string,
  flags: TaskFlags,
  call: (model: GPT2, signal: AbortSignal) => Promise<Result>,
): Promise<void> {
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const output = await call(model, signal);
    if (output.omitted) process.stderr.write(omissions(output.omitted));
    process.stdout.write(report(task, output, flags));
  });
}
