import type { Command } from "commander";
import type { LabelledLine } from "../../data/labelled/read-labelled.js";
import { DataError } from "../../errors.js";
import type { Classification } from "../../generate/classify.js";
import type { ReadOptions } from "../../gpt2/options.js";
import type { GPT2 } from "../../gpt2.js";
import { classificationReport, regressionReport } from "../../train/classification-metrics.js";
import type { TaskReport } from "../../train/task-report.js";
import { progress } from "../../util/progress.js";
import { interruptible } from "../interrupt.js";
import { readTexts } from "../labelled-input.js";
import { addModelOptions, loadModel, type ModelFlags } from "../options.js";
import { labelTable, summary } from "../task-report.js";

interface ClassifyFlags extends ModelFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly json?: true;
}

const HELP = `
The model, or the adapter, is one that gpt2 finetune --task classify or --task
regress made, or a GPT2ForSequenceClassification by transformers. Of a text that
is longer than the model's context the beginning is read.

With --data, JSONL of { "text" }, a line is printed for each; if all have a
"label" as well, how often the model is right: accuracy, and precision, recall
and F1 by label.

Examples:
  $ gpt2 classify "The plot is thin, the jokes are worse." --model runs/reviews/model
  $ gpt2 classify --adapter runs/reviews/adapter --file review.txt --json
  $ gpt2 classify --model runs/reviews/model --data held-out.jsonl`;

/** Adds `gpt2 classify`. */
export function registerClassify(program: Command): void {
  const command = program
    .command("classify")
    .summary("the label of a text, by a fine-tuned model")
    .description("Show which label a text has, or which number, by a model that was fine-tuned for that.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }, with "label" or without')
    .option("--json", "print JSON, a line for each text");
  addModelOptions(command).addHelpText("after", HELP).action(classify);
}

async function classify(words: string[], flags: ClassifyFlags): Promise<void> {
  const { file, data } = flags;
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const kind = model.fineTunedFor() ?? "classification";
    const lines = await readTexts("classify", { words, file, data }, kind);
    const line = progress({ label: "classify", total: lines.length, unit: "texts" });
    const onProgress = (done: number) => done < lines.length && line.update(done);
    const run = kind === "regression" ? regressed : classified;
    process.stdout.write(await run(model, lines, flags, { signal, onProgress }).finally(() => line.done()));
  });
}

type Run = (model: GPT2, lines: readonly LabelledLine[], flags: ClassifyFlags, options: ReadOptions) => Promise<string>;

/** Whether the figures are wanted rather than each text's label. */
const isTest = (lines: readonly LabelledLine[], { data, json }: ClassifyFlags): boolean =>
  data !== undefined && !json && lines.every(({ label }) => label !== undefined);

const classified: Run = async (model, lines, flags, options) => {
  const texts = lines.map(({ text }) => text);
  const found = await model.classify(texts, options);
  if (isTest(lines, flags)) return report(classificationReport(model.labels()!, pairs(model, lines, found)));
  const print = flags.json ? json : flags.data ? short : full;
  return found.map((result, i) => print(result, lines[i]!)).join("");
};

const regressed: Run = async (model, lines, flags, options) => {
  const texts = lines.map(({ text }) => text);
  const values = await model.regress(texts, options);
  if (isTest(lines, flags)) return report(regressionReport(lines.map(({ label }, i) => [label as number, values[i]!])));
  return values.map((value, i) => `${flags.json ? JSON.stringify({ ...lines[i], value }) : value}\n`).join("");
};

const report = (result: TaskReport): string =>
  [`${result.texts} texts: ${summary(result)}`, ...labelTable(result)].map((line) => `${line}\n`).join("");

function pairs(model: GPT2, lines: readonly LabelledLine[], found: readonly Classification[]): [number, number][] {
  const labels = model.labels()!;
  return found.map(({ label: given }, i) => {
    const expected = labels.indexOf(lines[i]!.label as string);
    if (expected >= 0) return [expected, labels.indexOf(given)];
    const shown = labels.slice(0, 20).join(", ");
    throw new DataError({ op: `label of text ${i + 1}`, expected: shown, got: JSON.stringify(lines[i]!.label) });
  });
}

const json = ({ label: predicted, probability, scores }: Classification, line: LabelledLine): string =>
  `${JSON.stringify({ ...line, predicted, probability, scores })}\n`;

const percent = (p: number): string => `${(100 * p).toFixed(1)}%`;

const short = ({ label, probability }: Classification, { text }: LabelledLine): string =>
  `${percent(probability).padStart(6)}  ${label}  ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)}\n`;

function full({ scores }: Classification): string {
  const sorted = [...scores].sort((a, b) => b.probability - a.probability);
  return sorted.map(({ label, probability }) => `${percent(probability).padStart(6)}  ${label}\n`).join("");
}
