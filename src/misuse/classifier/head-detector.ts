import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../backend/backend.js";
import { readSmallJson } from "../../data/small-file.js";
import { DataError, UsageError } from "../../errors.js";
import type { Classification } from "../../generate/classify.js";
import type { LocateOptions } from "../../pretrained/locate-options.js";
import type { TrainEvent } from "../../train/events.js";
import { finetune } from "../../train/finetune.js";
import type { TrainSettings } from "../../train/settings.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { typedWrite } from "../../util/file-errors.js";
import { mismatch } from "../../util/json-shape.js";
import { checkOptionNames } from "../../util/nearest.js";
import { CALIBRATION_SHAPE, checkDetectorCalibration, type DetectorCalibration, type TextScorer } from "./detector.js";
import type { LabelledText, SplitTexts } from "./split-texts.js";

const [HUMAN, MACHINE] = ["human", "machine"] as const;

export interface ClassifyingOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The part of a classifier that the detector uses; `GPT2` is one. */
export interface ClassifyingModel {
  labels(): readonly string[] | undefined;
  classify(texts: readonly string[], options?: ClassifyingOptions): Promise<Classification[]>;
}

/** The same for `BERT`. */
export interface ClassifyingEncoder {
  readonly labels: readonly string[] | undefined;
  classify(texts: readonly string[], options?: ClassifyingOptions): Promise<EncoderLabel[][]>;
}

/** A label of `BERT.classify`. */
export interface EncoderLabel {
  readonly label: string;
  /** Its probability. */
  readonly score: number;
}

/** The later detector of GPT-2's outputs: a language model fine-tuned to tell two classes apart. */
export class HeadDetector implements TextScorer {
  readonly about = "a fine-tuned language model";
  readonly #model: ClassifyingModel | ClassifyingEncoder;
  readonly #signal: AbortSignal | undefined;

  /** @throws {UsageError} the model was not fine-tuned for these two classes. */
  constructor(model: ClassifyingModel | ClassifyingEncoder, signal?: AbortSignal) {
    const labels = typeof model.labels === "function" ? model.labels() : model.labels;
    if (labels?.length !== 2 || !labels.includes(HUMAN) || !labels.includes(MACHINE)) {
      const expected = `a classifier with the labels ${HUMAN} and ${MACHINE}`;
      throw new UsageError({ op: "detecting with a classifier", expected, got: labels?.join(", ") ?? "none" });
    }
    this.#model = model;
    this.#signal = signal;
  }

  async score(texts: readonly string[]): Promise<number[]> {
    const found = await this.#model.classify(texts, { signal: this.#signal });
    return found.map((result) => ("scores" in result ? logOdds(result.scores) : logOddsOfLabels(result)));
  }
}

const logOdds = (scores: Classification["scores"]): number => {
  const logit = (name: string): number => scores.find(({ label }) => label === name)!.logit;
  return logit(MACHINE) - logit(HUMAN);
};

const logOddsOfLabels = (labels: readonly EncoderLabel[]): number => {
  const probability = (name: string): number => labels.find(({ label }) => label === name)!.score;
  return Math.log(probability(MACHINE) / probability(HUMAN));
};

export interface TrainHeadOptions {
  readonly backend: Backend;
  /** The run's folder; the finished model is in `model/`. */
  readonly out: string;
  /** The model to fine-tune, a GPT-2 or a BERT. Default: the package's own. */
  readonly from?: string | undefined;
  readonly locate?: LocateOptions | undefined;
  readonly epochs?: number | undefined;
  readonly settings?: Partial<TrainSettings> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
}

/** Fine-tunes a model on the training texts, and keeps the state that is best on the validation texts. */
export async function trainHeadDetector(parts: SplitTexts, options: TrainHeadOptions): Promise<void> {
  checkOptionNames("training a detector", options, {
    backend: true,
    out: true,
    from: true,
    locate: true,
    epochs: true,
    settings: true,
    signal: true,
    onEvent: true,
  });
  const { backend, out, from, locate, epochs, settings, signal, onEvent } = options;
  const op = `writing to ${tmpdir()}`;
  const folder = await typedWrite(op, DataError, () => mkdtemp(join(tmpdir(), "gpt2-detector-")));
  try {
    const [data, val] = [join(folder, "train.jsonl"), join(folder, "validation.jsonl")];
    await writeFileAtomically(data, labelledJsonl(parts.train), DataError);
    await writeFileAtomically(val, labelledJsonl(parts.validation), DataError);
    const trainer = await finetune({
      ...{ backend, out, from, locate, epochs, signal },
      ...{ data: [data], val: [val], task: "classify", settings: settings ?? {} },
    });
    for await (const event of trainer.run(signal)) onEvent?.(event);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const labelledJsonl = (texts: readonly LabelledText[]): string =>
  texts.map(({ text, machine }) => `${JSON.stringify({ text, label: machine ? MACHINE : HUMAN })}\n`).join("");

/** The file beside a fine-tuned detector's weights that holds its calibration. */
const DETECTOR_FILE = "detector.json";
const FORMAT = "gpt2-ts detector calibration";

/** @throws {DataError} the file can't be written. */
export function saveHeadCalibration(folder: string, calibration: DetectorCalibration): Promise<void> {
  const json = { format: FORMAT, version: 1, calibration };
  return writeFileAtomically(join(folder, DETECTOR_FILE), `${JSON.stringify(json)}\n`, DataError);
}

/** @throws {DataError} the model's folder has no calibration. */
export async function loadHeadCalibration(folder: string): Promise<DetectorCalibration> {
  const path = join(folder, DETECTOR_FILE);
  const op = `reading ${path}`;
  const value = readSmallJson(path, { expected: "a detector's calibration" });
  const found = mismatch(value, {
    fields: { format: { oneOf: [FORMAT] }, version: { oneOf: [1] }, calibration: CALIBRATION_SHAPE },
  });
  if (found) throw new DataError({ op: found.path === "" ? op : `${op}: ${found.path}`, ...found });
  return checkDetectorCalibration((value as { calibration: DetectorCalibration }).calibration, path);
}
