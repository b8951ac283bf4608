import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { chooseBackend } from "../../backend/choose.js";
import { DataError, UsageError } from "../../errors.js";
import {
  type ClassifierDetection,
  calibrateDetector,
  classifyText,
  type DetectorCalibration,
} from "../../misuse/classifier/detector.js";
import { readDocuments } from "../../misuse/detect/documents.js";
import { checkOutput } from "../../util/output.js";
import { progress } from "../../util/progress.js";
import type { DetectFlags } from "../commands/detect.js";
import { downloadLine, loadClassifier } from "../model.js";
import { progressMode } from "../options.js";
import { formatPercent, formatRows, formatTable, note, plural, print, printJson, rounded } from "../output.js";
import { interruptible } from "../signals.js";

/** `gpt2 detect --train` and `--classifier`. */

export async function trainCommand(inputs: readonly string[], flags: DetectFlags): Promise<void> {
  const [humanInput, machineInput, ...more] = inputs;
  if (humanInput === undefined || machineInput === undefined || more.length > 0) {
    const expected = "two inputs: human texts, then machine texts";
    throw new UsageError({ op: "gpt2 detect --train", expected, got: String(inputs.length) });
  }
  if (flags.out === undefined) {
    throw new UsageError({ op: "gpt2 detect --train", expected: "--out, the output", got: "none" });
  }
  const options = { textField: flags.field, separator: flags.splitOn };
  const [human, machine] = [await readDocuments([humanInput], options), await readDocuments([machineInput], options)];
  const name = flags.set ?? `held-out texts of ${basename(humanInput)}`;
  const train = flags.head ? trainHead : trainTfidf;
  await train(human, machine, name, flags.out, flags);
}

type Train = (
  human: readonly string[],
  machine: readonly string[],
  name: string,
  out: string,
  flags: DetectFlags,
) => Promise<void>;

const trainTfidf: Train = async (human, machine, name, out, flags) => {
  await checkOutput(out, DataError);
  const { saveTfidfDetector, trainTfidfDetector } = await import("../../misuse/classifier/tfidf-detector.js");
  const line = progress({ label: "train", unit: "penalties", mode: progressMode(flags) });
  const onProgress = (done: number, total: number): void => {
    line.setTotal(total);
    line.update(done);
  };
  const trained = await trainTfidfDetector(human, machine, { name, onProgress }).finally(() => line.done());
  await saveTfidfDetector(out, trained);
  const { detector, texts, accuracy, C } = trained;
  const terms = detector.features.terms.length;
  if (flags.json) return printJson({ out, texts, terms, C, accuracy, calibration: trained.calibration });
  print(summary(texts.train, texts.validation, texts.calibration));
  print(
    formatRows([
      ["accuracy", formatPercent(accuracy)],
      ["terms", String(terms)],
      ["C", String(C)],
      ["made", out],
    ]),
  );
};

const trainHead: Train = async (human, machine, name, out, flags) => {
  const { HeadDetector, saveHeadCalibration, trainHeadDetector } = await import(
    "../../misuse/classifier/head-detector.js"
  );
  const { splitTexts } = await import("../../misuse/classifier/split-texts.js");
  const parts = splitTexts(human, machine);
  const { backend } = await chooseBackend({ backend: flags.backend, threads: flags.threads });
  const [downloads, line] = [downloadLine(), progress({ label: "train", unit: "steps", mode: progressMode(flags) })];
  await interruptible(async (signal) => {
    let accuracy = Number.NaN;
    await trainHeadDetector(parts, {
      ...{ backend, out, from: flags.model, epochs: flags.epochs, signal },
      settings: flags.lr === undefined ? {} : { lr: flags.lr },
      locate: { offline: flags.offline, onDownload: downloads.onDownload },
      onEvent: (event) => {
        if (event.type === "step") line.update(event.step, `loss ${event.loss.toFixed(3)}`);
        const report = event.type === "validation" && event.best ? event.report : undefined;
        if (report && "accuracy" in report) accuracy = report.accuracy;
      },
    });
    line.done();
    const folder = join(out, "model");
    await using model = await loadClassifier({ ...flags, model: folder }, signal);
    const calibration = await calibrateDetector(new HeadDetector(model, signal), parts.calibration, name);
    await saveHeadCalibration(folder, calibration);
    await backend.dispose();
    const counts = [parts.train.length, parts.validation.length, parts.calibration.length] as const;
    if (flags.json) return printJson({ out: folder, texts: counts, accuracy, calibration });
    print(summary(...counts));
    print(
      formatRows([
        ["accuracy", formatPercent(accuracy)],
        ["made", folder],
      ]),
    );
  }).finally(() => {
    downloads.end();
    line.done();
  });
};

const summary = (train: number, validation: number, calibration: number): string =>
  `${plural(train, "text")} for training, ${validation} for validation, ${calibration} human ones for calibration\n`;

export async function classifierCommand(path: string, text: string, flags: DetectFlags): Promise<void> {
  await interruptible(async (signal) => {
    const found = await detectBy(path, text, flags, signal);
    const notes = classifierNotes(found);
    if (flags.json) {
      const { falsePositives, ...rest } = found;
      printJson({ ...rest, logOdds: rounded(found.logOdds), falsePositives: falsePositives ?? null, notes });
    } else print(`${table(found)}\n${notes.map((line) => `${line}\n`).join("")}`);
  });
}

async function detectBy(path: string, text: string, flags: DetectFlags, signal: AbortSignal) {
  let calibration: DetectorCalibration;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    const { HeadDetector, loadHeadCalibration } = await import("../../misuse/classifier/head-detector.js");
    calibration = await loadHeadCalibration(path);
    await using model = await loadClassifier({ ...flags, model: path }, signal);
    return await classifyText(new HeadDetector(model, signal), calibration, text);
  }
  if (flags.model !== undefined) note("--model is not used by this classifier");
  const { loadTfidfDetector } = await import("../../misuse/classifier/tfidf-detector.js");
  const loaded = await loadTfidfDetector(path);
  return classifyText(loaded.detector, loaded.calibration, text);
}

function table({ words, logOdds, falsePositives: rate }: ClassifierDetection): string {
  const interval = rate ? rate.interval.map((x) => formatPercent(x)).join(" to ") : "";
  const row = ["log-odds", logOdds.toFixed(4), rate ? formatPercent(rate.rate) : "not known", interval];
  const head = ["score", "value", "human texts that score as high", "95% interval"];
  return `${plural(words, "word")}\n\n${formatTable(head, [row])}`;
}

function classifierNotes({ falsePositives, calibration }: ClassifierDetection): string[] {
  const first =
    falsePositives === undefined
      ? "The text is too short for a false-positive rate."
      : `Human texts: ${calibration}. The rate holds for texts of that kind, and for the generator that the classifier was trained on.`;
  return [first, "No score proves who wrote a text."];
}
