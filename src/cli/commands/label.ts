import { type Command, Option } from "commander";
import { AGGREGATIONS, type Aggregation, type TokenLabel } from "../../bert/options.js";
import { jsonlFiles } from "../../data/examples/prepare-lines.js";
import { type TaggedLine, taggedLine } from "../../data/examples/tagged-line.js";
import { readLines } from "../../data/read-lines.js";
import { entityReport } from "../../evaluate/metrics/entities.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder } from "../model.js";
import { addEncoderOptions } from "../options.js";
import { formatPercent, plural, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";
import { describeReport, labelTable } from "../train/reporter.js";

interface LabelFlags extends EncoderFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly aggregation: Aggregation;
  readonly json?: true;
}

const HELP = `
The model is a BertForTokenClassification. Tokens labelled O are left out.

With --data, JSONL of { "tokens", "tags" }, the words' tags are compared with the
model's: precision, recall and F1 of entities, as seqeval counts them.

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
    .option("--data <path...>", 'read many texts: JSONL of { "text" }, or of { "tokens", "tags" } to be scored')
    .addOption(
      new Option("--aggregation <how>", "how labels of tokens become entities").choices(AGGREGATIONS).default("simple"),
    )
    .option("--json", "print a line of JSON for each text, in the form of transformers' pipeline");
  addEncoderOptions(command).addHelpText("after", HELP).action(label);
}

async function label(words: string[], flags: LabelFlags): Promise<void> {
  const { file, data, aggregation, json } = flags;
  await interruptible(async (signal) => {
    const tagged = data && words.length === 0 && file === undefined ? await readTagged(data) : undefined;
    if (tagged) return scoreTags(tagged, flags, signal);
    const texts = await readTexts("label", { words, file, data });
    await using model = await loadEncoder(flags, signal);
    for (const { text } of texts) {
      const labels = await model.tokens(text, { aggregation, signal });
      if (json) printJson(labels);
      else printLines(labels.map((found) => row(found, text)));
    }
  });
}

/** Lines of words with tags; undefined if the first has none. */
async function readTagged(data: readonly string[]): Promise<TaggedLine[] | undefined> {
  const lines: TaggedLine[] = [];
  for await (const line of readLines(jsonlFiles(data))) {
    if (lines.length === 0 && !("tokens" in line.record)) return undefined;
    lines.push(taggedLine(line));
  }
  return lines.length > 0 ? lines : undefined;
}

async function scoreTags(lines: readonly TaggedLine[], flags: LabelFlags, signal: AbortSignal): Promise<void> {
  await using model = await loadEncoder(flags, signal);
  const pairs: [expected: readonly string[], given: readonly string[]][] = [];
  for (const { words, tags } of lines) {
    const given = await model.tagWords(words, { truncate: true, signal });
    // Words beyond the model's context are not scored, as in transformers' script.
    pairs.push([tags.slice(0, given.length), given]);
    if (flags.json) printJson({ tokens: words, tags, predicted: given });
  }
  if (flags.json) return;
  const report = entityReport(pairs);
  printLines([`${plural(report.texts, "text")}: ${describeReport(report)}`, ...labelTable(report)]);
}

const row = ({ entity, entity_group, score, start, end }: TokenLabel, text: string): string =>
  `${formatPercent(score, 1).padStart(6)}  ${(entity ?? entity_group ?? "").padEnd(8)}  ${text.slice(start, end)}`;
