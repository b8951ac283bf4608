import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { GPT2Error, UsageError } from "../errors.js";
import { nearest } from "../util/nearest.js";
import { packageFile } from "../util/package-root.js";
import { note } from "./output.js";

/**
 * The commands, in the order of the help. A new one is a file, and a line here. A module is loaded only if its command runs,
 * which keeps starts quick.
 */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  generate: async () => (await import("./commands/generate.js")).registerGenerate,
  score: async () => (await import("./commands/score.js")).registerScore,
  classify: async () => (await import("./commands/classify.js")).registerClassify,
  embed: async () => (await import("./commands/embed.js")).registerEmbed,
  "fill-mask": async () => (await import("./commands/fill-mask.js")).registerFillMask,
  label: async () => (await import("./commands/label.js")).registerLabel,
  answer: async () => (await import("./commands/answer.js")).registerAnswer,
  compare: async () => (await import("./commands/compare.js")).registerCompare,
  task: async () => (await import("./commands/task.js")).registerTask,
  serve: async () => (await import("./commands/serve.js")).registerServe,
  quantize: async () => (await import("./commands/quantize.js")).registerQuantize,
  pull: async () => (await import("./commands/pull.js")).registerPull,
  convert: async () => (await import("./commands/convert.js")).registerConvert,
  info: async () => (await import("./commands/info.js")).registerInfo,
  tokenize: async () => (await import("./commands/tokenize.js")).registerTokenize,
  tokenizer: async () => (await import("./commands/tokenizer.js")).registerTokenizer,
  data: async () => (await import("./commands/data.js")).registerData,
  train: async () => (await import("./commands/train.js")).registerTrain,
  finetune: async () => (await import("./commands/finetune.js")).registerFinetune,
  merge: async () => (await import("./commands/merge.js")).registerMerge,
  eval: async () => (await import("./commands/eval.js")).registerEval,
  reproduce: async () => (await import("./commands/reproduce.js")).registerReproduce,
  overlap: async () => (await import("./commands/overlap.js")).registerOverlap,
  index: async () => (await import("./commands/index.js")).registerIndex,
  trace: async () => (await import("./commands/trace.js")).registerTrace,
  watermark: async () => (await import("./commands/watermark.js")).registerWatermark,
  detect: async () => (await import("./commands/detect.js")).registerDetect,
  bias: async () => (await import("./commands/bias.js")).registerBias,
  card: async () => (await import("./commands/card.js")).registerCard,
  extract: async () => (await import("./commands/extract.js")).registerExtract,
};

const EXAMPLES = `
Examples:
  $ gpt2 "Once upon a time"                      continue a text
  $ gpt2 -n 50 --samples 3 --temperature 1       three new texts of 50 tokens
  $ gpt2 --model path/to/model --file draft.txt  continue a file with another model
  $ gpt2 score --file page.txt                   how likely the model finds a text
  $ gpt2 info path/to/model                      what a model file holds

To continue unquoted words that begin with the name of a command, or nearly so:
gpt2 generate train of thought
gpt2 generate --help lists the options for generating.`;

/** The program without its commands. Usage errors are thrown as CommanderError after their message was printed. */
function makeProgram(): Command {
  const { version } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string };
  return new Command("gpt2")
    .description("GPT-2 and BERT: generate, score and read text, inspect models, train your own.")
    .usage('"text to continue" [options]\n       gpt2 <command> [options]')
    .version(version)
    .helpCommand(true)
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help lists the options)")
    .configureOutput({ outputError: (text) => note(text.replace(/^error: /, "").trimEnd()) })
    .exitOverride();
}

/** The commands to register: the one in the arguments, all for the help, else the one for a prompt. */
function neededCommands(args: readonly string[]): string[] {
  const [first = ""] = args;
  if (Object.hasOwn(COMMANDS, first)) return [first];
  const help = first === "help" || args.includes("--help") || args.includes("-h");
  return help ? Object.keys(COMMANDS) : ["generate"];
}

/**
 * Refuses a likely typo: a lower-case word similar to a command's name, with arguments after it. Prompts are usually quoted,
 * or a single word.
 */
function refuseMistypedCommand([first = "", ...rest]: readonly string[]): void {
  if (rest.length === 0 || !/^[a-z]+$/.test(first) || first === "help" || Object.hasOwn(COMMANDS, first)) return;
  const near = nearest(first, Object.keys(COMMANDS));
  if (near === undefined) return;
  const hint = `Did you mean gpt2 ${near}? A text to continue is quoted, or follows gpt2 generate`;
  throw new UsageError({ op: "the first argument", expected: "a command or a prompt", got: first, hint });
}

async function parse(args: readonly string[]): Promise<void> {
  refuseMistypedCommand(args);
  const program = makeProgram();
  for (const name of neededCommands(args)) {
    const register = await COMMANDS[name]!();
    register(program);
  }
  await program.parseAsync(args, { from: "user" });
}

/** Prints an error and returns the exit status: 2 for wrong usage, 1 for any other failure. */
function report(error: unknown): number {
  // Commander has already printed it or the help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof GPT2Error) {
    note(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
  note(error instanceof Error ? String(error.stack) : String(error));
  return 1;
}

/** Runs a command. Prints failures, and sets `process.exitCode`. */
export async function runCommand(args: readonly string[]): Promise<void> {
  try {
    await parse(args);
  } catch (error) {
    process.exitCode = report(error);
  }
}
