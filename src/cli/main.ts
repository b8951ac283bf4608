#!/usr/bin/env node
import { type Command, CommanderError } from "commander";
import { GPT2Error, UsageError } from "../errors.js";
import { makeProgram } from "./program.js";

/** The verbs and where each is, in the order of the help. Only what is needed is loaded: starting stays quick. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  generate: async () => (await import("./commands/generate.js")).registerGenerate,
  score: async () => (await import("./commands/score.js")).registerScore,
  classify: async () => (await import("./commands/classify.js")).registerClassify,
  embed: async () => (await import("./commands/embed.js")).registerEmbed,
  task: async () => (await import("./commands/task.js")).registerTask,
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
};

/** The verb in the arguments, all of them to list them, or the one for a prompt. */
function needed(args: readonly string[]): string[] {
  const [first = ""] = args;
  if (Object.hasOwn(COMMANDS, first)) return [first];
  const help = first === "help" || args.includes("--help") || args.includes("-h");
  return help ? Object.keys(COMMANDS) : ["generate"];
}

async function main(args: readonly string[]): Promise<void> {
  const program = makeProgram();
  for (const name of needed(args)) {
    const register = await COMMANDS[name]!();
    register(program);
  }
  await program.parseAsync(args, { from: "user" });
}

/** Tells what went wrong, for people, and returns the exit status: 2 for a wrong call, 1 for what it met. */
function report(error: unknown): number {
  // Commander has said it already, or printed the help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof GPT2Error) {
    process.stderr.write(`gpt2: ${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
  process.stderr.write(`gpt2: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever was reading has enough: `gpt2 … | head`.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
