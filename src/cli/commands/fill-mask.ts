import type { Command } from "commander";
import type { FilledMask } from "../../bert/options.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder } from "../model.js";
import { addEncoderOptions, count } from "../options.js";
import { formatPercent, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface FillMaskFlags extends EncoderFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly topK: number;
  readonly targets?: string[];
  readonly json?: true;
}

const HELP = `
Prints the most probable tokens in place of each [MASK], each mask by itself.

Examples:
  $ gpt2 fill-mask "Paris is the [MASK] of France." --model bert-base-uncased
  $ gpt2 fill-mask "The keys [MASK] here." --targets is are --model bert-base-uncased
  $ gpt2 fill-mask --data lines.jsonl --json --model bert-base-uncased`;

/** Adds `gpt2 fill-mask`. */
export function registerFillMask(program: Command): void {
  const command = program
    .command("fill-mask")
    .summary("fill the blanks of a text with a BERT")
    .description("Print the tokens that a BERT finds most probable in place of [MASK].")
    .argument("[text...]", "the text, with one [MASK] or more")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }')
    .option("-k, --top-k <n>", "tokens for each mask", count, 5)
    .option("--targets <words...>", "compare only these words")
    .option("--json", "print a line of JSON for each text, in the form of transformers' pipeline");
  addEncoderOptions(command).addHelpText("after", HELP).action(fillMask);
}

async function fillMask(words: string[], flags: FillMaskFlags): Promise<void> {
  const { file, data, topK, targets, json } = flags;
  await interruptible(async (signal) => {
    const texts = await readTexts("fill-mask", { words, file, data });
    await using model = await loadEncoder(flags, signal);
    for (const { text } of texts) {
      const masks = await model.fillMasks(text, { topK, targets, signal });
      if (json) printJson(masks.length === 1 ? masks[0] : masks);
      else printLines(masks.flatMap((filled, i) => [...(i > 0 ? [""] : []), ...filled.map(row)]));
    }
  });
}

const row = ({ score, token_str, sequence }: FilledMask): string =>
  `${formatPercent(score, 1).padStart(6)}  ${token_str.padEnd(14)}  ${sequence}`;
