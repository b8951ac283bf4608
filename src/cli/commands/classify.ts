import type { Command } from "commander";
import type { LabelledLine } from "../../data/examples/labelled-line.js";
import { DataError } from "../../errors.js";
import type { Classification, LabelScore } from "../../generate/classify.js";
import type { GPT2 } from "../../gpt2.js";
import type { ReadOptions } from "../../model/options.js";
import {
  type ClassificationReport,
  classificationReport,
  type RegressionReport,
  regressionReport,
} from "../../train/classification-metrics.js";
import { printable } from "../../util/printable.js";
import { progress } from "../../util/progress.js";
import { readTexts } from "../labelled-input.js";
import { isEncoder, loadEncoder, loadModel, type ModelFlags } from "../model.js";
import { addModelOptions } from "../options.js";
import { formatPercent, jsonLine, plural, print } from "../output.js";
import { interruptible } from "../signals.js";
import { describeReport, labelTable } from "../train/reporter.js";

interface ClassifyFlags extends ModelFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly json?: true;
}

const HELP = `
The model, or the adapter, comes from gpt2 finetune --task classify or --task
regress, or is a GPT2- or BertForSequenceClassification of transformers. A text longer
than the model's context is cut to its beginning.

With --data, JSONL of { "text" }, a line is printed for each text; or, if all have a
"label" too, the model's accuracy, and precision, recall and F1 by label.

Examples:
  $ gpt2 classify "The plot is thin, the jokes are worse." --model runs/reviews/model
  $ gpt2 classify --adapter runs/reviews/adapter --file review.txt --json
  $ gpt2 classify --model runs/reviews/model --data held-out.jsonl`;

/** Adds `gpt2 classify`. */
export function registerClassify(program: Command): void {
  const command = program
    .command("classify")
    .summary("label a text with a fine-tuned model")
    .description("Label a text, or predict a number for it, with a model fine-tuned for that.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }, with "label" or without')
    .option("--json", "print JSON, a line for each text");
  addModelOptions(command).addHelpText("after", HELP).action(classify);
}

async function classify(words: string[], flags: ClassifyFlags): Promise<void> {
  const { file, data } = flags;
  await interruptible(async (signal) => {
    if (await isEncoder(flags, signal)) return classifyByEncoder(flags, words, signal);
    const model = await loadModel(flags, signal);
    const kind = model.fineTunedFor() === "regression" ? "regression" : "classification";
    const lines = await readTexts("classify", { words, file, data }, kind);
    if (lines.some(({ pair }) => pair !== undefined)) {
      const expected = 'lines of a "text" alone: pairs are for a BERT';
      throw new DataError({ op: "gpt2 classify", expected, got: 'a "pair"' });
    }
    const line = progress({ label: "classify", total: lines.length, unit: "texts" });
    const onProgress = (done: number) => done < lines.length && line.update(done);
    const run = kind === "regression" ? regressed : classified;
    print(await run(model, lines, flags, { signal, onProgress }).finally(() => line.done()));
  });
}

/** The same with a BERT. */
async function classifyByEncoder(flags: ClassifyFlags, words: string[], signal: AbortSignal): Promise<void> {
  const { file, data } = flags;
  await using model = await loadEncoder({ ...flags, model: flags.model! }, signal);
  const kind = model.fineTunedFor === "regression" ? "regression" : "classification";
  const lines = await readTexts("classify", { words, file, data }, kind);
  const found = await model.classify(
    lines.map(({ text, pair }) => (pair === undefined ? text : { text, pair })),
    { signal },
  );
  const results = found.map((scores) => scores.map(({ label, score }) => ({ label, probability: score })));
  const best = results.map((scores) => scores[0]!);
  const named = kind === "classification" ? model.labels! : [];
  if (kind === "regression")
    return print(
      regressedText(
        best.map(({ probability }) => probability),
        lines,
        flags,
      ),
    );
  if (isTest(lines, flags)) return print(report(classificationReport(named, pairs(named, lines, best))));
  const row = (scores: (typeof results)[number], i: number): string => {
    const line = lines[i]!;
    if (flags.json) return jsonLine({ ...line, predicted: best[i]!.label, probability: best[i]!.probability, scores });
    return data ? short(best[i]!, line) : full({ scores });
  };
  print(results.map(row).join(""));
}

/** A label and its probability. */
type Labelled = Pick<LabelScore, "label" | "probability">;

type Run = (model: GPT2, lines: readonly LabelledLine[], flags: ClassifyFlags, options: ReadOptions) => Promise<string>;

/** Whether to print metrics over all texts rather than each text's label. */
const isTest = (lines: readonly LabelledLine[], { data, json }: ClassifyFlags): boolean =>
  data !== undefined && !json && lines.every(({ label }) => label !== undefined);

const classified: Run = async (model, lines, flags, options) => {
  const texts = lines.map(({ text }) => text);
  const found = await model.classify(texts, options);
  const labels = model.labels()!;
  if (isTest(lines, flags)) return report(classificationReport(labels, pairs(labels, lines, found)));
  const print = flags.json ? json : flags.data ? short : full;
  return found.map((result, i) => print(result, lines[i]!)).join("");
};

const regressed: Run = async (model, lines, flags, options) => {
  const texts = lines.map(({ text }) => text);
  return regressedText(await model.regress(texts, options), lines, flags);
};

function regressedText(values: readonly number[], lines: readonly LabelledLine[], flags: ClassifyFlags): string {
  if (isTest(lines, flags)) return report(regressionReport(lines.map(({ label }, i) => [label as number, values[i]!])));
  return values.map((value, i) => (flags.json ? jsonLine({ ...lines[i], value }) : `${value}\n`)).join("");
}

const report = (result: ClassificationReport | RegressionReport): string =>
  [`${plural(result.texts, "text")}: ${describeReport(result)}`, ...labelTable(result)]
    .map((line) => `${line}\n`)
    .join("");

/** The numbers of the expected and the predicted label of each text. */
function pairs(
  labels: readonly string[],
  lines: readonly LabelledLine[],
  found: readonly Labelled[],
): [number, number][] {
  return found.map(({ label: given }, i) => {
    const expected = labels.indexOf(lines[i]!.label as string);
    if (expected >= 0) return [expected, labels.indexOf(given)];
    const shown = labels.slice(0, 20).join(", ");
    throw new DataError({ op: `label of text ${i + 1}`, expected: shown, got: JSON.stringify(lines[i]!.label) });
  });
}

const json = ({ label: predicted, probability, scores }: Classification, line: LabelledLine): string =>
  jsonLine({ ...line, predicted, probability, scores });

/** One of several texts: its label and its beginning. */
const short = (result: Labelled, { text }: LabelledLine): string =>
  printable(`${labelRow(result)}  ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)}\n`);

/** A single text: all labels, the most probable first. */
function full({ scores }: { readonly scores: readonly Labelled[] }): string {
  const sorted = [...scores].sort((a, b) => b.probability - a.probability);
  return sorted.map((score) => printable(`${labelRow(score)}\n`)).join("");
}

const labelRow = ({ label, probability }: Labelled): string => `${formatPercent(probability, 1).padStart(6)}  ${label}`;
