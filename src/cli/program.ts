import { readFileSync } from "node:fs";
import { Command } from "commander";
import { packageFile } from "../util/package-root.js";

const EXAMPLES = `
Examples:
  $ gpt2 "Once upon a time"                      continue a text
  $ gpt2 -n 50 --samples 3 --temperature 1       three new texts of 50 tokens
  $ gpt2 --model path/to/model --file draft.txt  continue a file with another model
  $ gpt2 score --file page.txt                   how likely the model finds a text
  $ gpt2 info path/to/model                      what a model file holds

A text that starts with the name of a command: gpt2 generate "train of thought"
gpt2 generate --help shows all about generating.`;

/** The command without its verbs. Errors in the call are thrown as CommanderError, after their message is printed. */
export function makeProgram(): Command {
  const { version } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string };
  return new Command("gpt2")
    .description("GPT-2: generate text, score it, look into models, train your own.")
    .usage('"text to continue" [options]\n       gpt2 <command> [options]')
    .version(version)
    .helpCommand(true)
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows what there is)")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "gpt2: ")) })
    .exitOverride();
}
