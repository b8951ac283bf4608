import { type Command, Option } from "commander";
import { AGGREGATIONS, type Aggregation, type TokenLabel } from "../../bert/options.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder } from "../model.js";
import { addEncoderOptions } from "../options.js";
import { formatPercent, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface LabelFlags extends EncoderFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly aggregation: Aggregation;
  readonly json?: true;
}

const HELP = `
The model is a BertForTokenClassification. Tokens labelled O are left out.

Examples:
  $ gpt2 label "Ada Lovelace lived in London." --model path/to/ner
  $ gpt2 label --data lines.jsonl --aggregation first --json --model path/to/ner`;

/** Adds `gpt2 label`. */
export function registerLabel(program: Command): void {
  const command = program
    .command("label")
    .summary("label the tokens of a text with a fine-tuned BERT")
    .description("Print the entities of a text, or the label of each token.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }')
    .addOption(
      new Option("--aggregation <how>", "how labels of tokens become entities").choices(AGGREGATIONS).default("simple"),
    )
    .option("--json", "print JSON, a line for each text, as transformers' pipeline gives it");
  addEncoderOptions(command).addHelpText("after", HELP).action(label);
}

async function label(words: string[], flags: LabelFlags): Promise<void> {
  const { file, data, aggregation, json } = flags;
  await interruptible(async (signal) => {
    const texts = await readTexts("label", { words, file, data });
    await using model = await loadEncoder(flags, signal);
    for (const { text } of texts) {
      const labels = await model.tokens(text, { aggregation, signal });
      if (json) printJson(labels);
      else printLines(labels.map((found) => row(found, text)));
    }
  });
}

const row = ({ entity, entity_group, score, start, end }: TokenLabel, text: string): string =>
  `${formatPercent(score, 1).padStart(6)}  ${(entity ?? entity_group ?? "").padEnd(8)}  ${text.slice(start, end)}`;
