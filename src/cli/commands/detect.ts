import type { Command } from "commander";
import { TokenizerError, UsageError } from "../../errors.js";
import type { GPT2 } from "../../gpt2.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { checkOutput } from "../../util/output.js";
import { progress } from "../../util/progress.js";
import { calibrateCommand } from "../detect/calibrate.js";
import { classifierCommand, trainCommand } from "../detect/classifier.js";
import { detectionJson, detectionNotes, detectionReport } from "../detect/report.js";
import { readText } from "../input.js";
import { loadModel, type ModelFlags } from "../model.js";
import { addDocumentOptions, addModelOptions, addReportOptions, count, number } from "../options.js";
import { noteOnTerminal, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

export interface DetectFlags extends ModelFlags {
  readonly observer?: string;
  readonly calibration?: string;
  readonly svg?: string;
  readonly html?: string;
  readonly calibrate?: string[];
  readonly classifier?: string;
  readonly train?: string[];
  readonly head?: true;
  readonly epochs?: number;
  readonly lr?: number;
  readonly set?: string;
  readonly passages: number;
  readonly out?: string;
  readonly field: string;
  readonly splitOn?: string;
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
The text is coloured by the ranks of its tokens in the model's predictions, as in GLTR:
most tokens of a model's own text rank among the likeliest 10.

Scores: log-likelihood and log-rank, means over the tokens; curvature (Fast-DetectGPT);
with --observer, a second model of the same vocabulary, Binoculars' ratio. A score alone
says nothing. So each is printed with its false-positive rate: the share of human texts
of about this length, from a named set, that score as high. It is known for models with a
calibration: detection.json in the model's folder, or --calibration. It holds for texts
like those of the set, and no detector proves who wrote a text: docs/misuse.md.

--calibrate makes a calibration from human texts that the model was not trained on.

--train makes a classifier of human and machine texts (two files or folders): TF-IDF of
words and pairs with logistic regression, or with --head the fine-tuned model, which may
be a BERT. It has learned its training texts, and may fail on other generators, samplers
and kinds of text.

Examples:
  $ gpt2 detect page.txt
  $ gpt2 "Once upon a time" -n 200 | gpt2 detect
  $ gpt2 detect page.txt --model gpt2 --observer distilgpt2 --html page.html
  $ gpt2 detect --calibrate human.jsonl --set "my letters" --model gpt2 --out gpt2.json
  $ gpt2 detect page.txt --model gpt2 --calibration gpt2.json
  $ gpt2 detect --train human.jsonl machine.jsonl --out detector.json
  $ gpt2 detect page.txt --classifier detector.json
  $ gpt2 detect --train human.jsonl machine.jsonl --head --model bert-base --out runs/a
  $ gpt2 detect page.txt --classifier runs/a/model`;

/** Adds `gpt2 detect`. */
export function registerDetect(program: Command): void {
  const command = program
    .command("detect")
    .summary("measure how much a text looks like a model's")
    .description(
      "Measure how much a text looks machine-written, with the share of human texts that look at least as much so.",
    )
    .argument("[file]", "the text; - or none for standard input")
    .option("--observer <model>", "a second model with the same tokenizer, for Binoculars' ratio")
    .option("--calibration <file>", "calibration of the model (default: detection.json in its folder)")
    .option("--svg <file>", "write the coloured text as SVG")
    .option("--html <file>", "write the coloured text, histograms and scores as a page");
  command.option("--classifier <path>", "score with a classifier made by --train: its file, or a fine-tuned model");
  command.optionsGroup("Making calibrations and classifiers:");
  command
    .option("--train <inputs...>", "make a classifier from human and machine texts: two files or folders")
    .option("--head", "fine-tune the model, GPT-2 or BERT, instead of TF-IDF; --out is then the run's folder")
    .option("--epochs <n>", "with --head: passes through the texts (default: 3)", number)
    .option("--lr <x>", "with --head: peak learning rate (default: 1e-4)", number)
    .option("--calibrate <inputs...>", "make a calibration from human texts: files and folders")
    .option("--set <name>", "name of the set of texts (default: the names of the files)")
    .option("--passages <n>", "maximum number of passages to take from the texts", count, 1000)
    .option("-o, --out <file>", "the calibration or classifier to write");
  addDocumentOptions(command);
  command.optionsGroup("Model:");
  addReportOptions(addModelOptions(command), "print JSON: scores, false-positive rates, and statistics of each token");
  command.addHelpText("after", HELP).action(detect);
}

async function detect(file: string | undefined, flags: DetectFlags): Promise<void> {
  if ((flags.calibrate || flags.train) && file !== undefined) {
    throw new UsageError({ op: "gpt2 detect", expected: "either a text or --calibrate or --train", got: "both" });
  }
  if (flags.calibrate) return calibrateCommand(flags.calibrate, flags);
  if (flags.train) return trainCommand(flags.train, flags);
  const text = await readText({ words: [], file }, "gpt2 detect", "a file, or a text on standard input");
  for (const path of [flags.svg, flags.html]) if (path !== undefined) await checkOutput(path, UsageError);
  if (flags.classifier !== undefined) return classifierCommand(flags.classifier, text, flags);
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const tokenizer = tokenizerOf(model);
    const observer = await loadObserver(flags, tokenizer, text, signal);
    const detection = await detectText(model, tokenizer, text, observer, flags, signal);
    const { writeFileAtomically } = await import("../../util/atomic-write.js");
    if (flags.svg !== undefined) {
      const { detectionSvg } = await import("../../misuse/detect/picture/svg.js");
      await writeFileAtomically(flags.svg, detectionSvg(tokenizer, detection), UsageError);
    }
    if (flags.html !== undefined) {
      const { detectionHtml } = await import("../../misuse/detect/picture/html.js");
      await writeFileAtomically(flags.html, detectionHtml(tokenizer, detection, detectionNotes(detection)), UsageError);
    }
    for (const path of [flags.svg, flags.html]) if (path !== undefined) noteOnTerminal(`wrote ${path}`);
    if (flags.json) printJson(detectionJson(detection, tokenizer));
    else print(detectionReport(detection, tokenizer));
  });
}

async function detectText(
  model: GPT2,
  tokenizer: Tokenizer,
  text: string,
  observer: GPT2 | undefined,
  { calibration }: DetectFlags,
  signal: AbortSignal,
) {
  const ids = Array.from(tokenizer.encode(text, { addSpecialTokens: false }));
  const line = progress({ label: "detect", total: ids.length, unit: "tokens" });
  const onProgress = (done: number) => done < ids.length && line.update(done);
  try {
    const table = calibration === undefined ? undefined : await readCalibration(calibration);
    return await model.detect(ids, { observer, calibration: table, signal, onProgress });
  } finally {
    line.done();
  }
}

async function readCalibration(path: string) {
  return (await import("../../misuse/detect/calibration-file.js")).loadCalibration(path);
}

/** @throws {TokenizerError} the model has none. */
export function tokenizerOf({ tokenizer }: GPT2): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new TokenizerError({ op: "gpt2 detect", expected: "a model with a tokenizer", got: "none" });
}

/** @throws {UsageError} the observer splits the text into other tokens. */
export async function loadObserver(
  flags: DetectFlags,
  tokenizer: Tokenizer,
  text: string,
  signal: AbortSignal,
): Promise<GPT2 | undefined> {
  if (flags.observer === undefined) return undefined;
  const { adapter: _, ...rest } = flags;
  const observer = await loadModel({ ...rest, model: flags.observer }, signal);
  const [own, other] = [tokenizer, tokenizerOf(observer)].map((of) =>
    of.encode(text, { addSpecialTokens: false }).join(),
  );
  if (own === other) return observer;
  throw new UsageError({
    op: "--observer",
    expected: "a model with the same tokenizer",
    got: "a model that tokenizes the text differently",
  });
}
