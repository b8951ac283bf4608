import { architectureOf } from "../../architectures/registry.js";
import type { EndEvent, StartEvent, TrainEvent } from "../../train/events.js";
import type { LoraSettings } from "../../train/lora-settings.js";
import { formatMemory, memoryParts } from "../../train/memory.js";
import type { TaskReport } from "../../train/task-report.js";
import type { PassProgress } from "../../train/trainer-options.js";
import { printable, printableLine } from "../../util/printable.js";
import { formatCount, formatDuration, type Progress, progress } from "../../util/progress.js";
import { formatInteger, formatPercent, formatTable, jsonLine, note, plural, print } from "../output.js";
import { interruptible } from "../signals.js";

export interface ReporterOptions {
  /** Events as JSON lines on stdout instead of text. */
  readonly json: boolean;
  /** Progress as ordinary lines where stderr is no terminal. */
  readonly plain: boolean;
  /** The command that continues the run. Default `train`. */
  readonly verb?: string;
}

/** Prints a run's plan, validations, samples and result on standard output, and a progress line on standard error. */
export class TrainReporter {
  readonly #options: ReporterOptions;
  readonly #out: string;
  #line: Progress | undefined;
  #steps = 0;
  #latest = "";

  constructor(out: string, options: ReporterOptions) {
    this.#out = out;
    this.#options = options;
  }

  report(event: TrainEvent): void {
    if (event.type === "start") this.#begin(event);
    if (event.type === "step") {
      const use = event.utilization === undefined ? "" : `, ${(100 * event.utilization).toFixed(0)}% of peak`;
      this.#latest = `loss ${event.loss.toFixed(3)}, step ${event.step}/${this.#steps}, lr ${event.lr.toExponential(1)}${use}`;
      this.#line?.update(event.tokens, this.#latest);
    }
    if (event.type === "end") this.#line?.done();
    if (this.#options.json) this.#print(jsonLine(event));
    else for (const line of this.#describe(event)) this.#print(`${printable(line)}\n`);
  }

  /** Updates the progress line within a step of many passes, which takes long. */
  readonly pass = ({ pass, passes, tokens }: PassProgress): void => {
    if (pass < passes) this.#line?.update(tokens, this.#latest);
  };

  /** A line for the person at the terminal, besides the results. */
  notice(text: string): void {
    this.#line?.clear();
    note(text);
  }

  close(): void {
    this.#line?.done();
  }

  #begin({ settings, step }: StartEvent): void {
    this.#steps = settings.steps;
    const { batchTokens } = settings;
    this.#line = progress({
      label: "training",
      total: settings.steps * batchTokens,
      start: step * batchTokens,
      unit: "tokens",
      mode: this.#mode(),
    });
  }

  #mode(): "auto" | "plain" | "off" {
    const { json, plain } = this.#options;
    // On the same terminal, events would break the line at every step.
    if (json && process.stdout.isTTY) return "off";
    return plain && !process.stderr.isTTY ? "plain" : "auto";
  }

  #print(text: string): void {
    if (process.stdout.isTTY) this.#line?.clear();
    print(text);
  }

  #describeEnd({ best, step, seconds, early, saved, model, adapter }: EndEvent): string[] {
    const lines = best ? [`best validation loss ${best.loss.toFixed(4)}, after step ${best.step}`] : [];
    if (best?.report && (model ?? adapter))
      lines.push(`held out: ${describeReport(best.report)}`, ...labelTable(best.report));
    if (early) lines.push(`stopped after step ${step}: validation loss no longer improved`);
    const result = model === undefined ? `the adapter is in ${adapter}` : `the model is in ${model}`;
    const which = saved === undefined || saved === step ? "" : `, that of step ${saved}`;
    if (model ?? adapter) return [...lines, `done in ${formatDuration(seconds)}: ${result}${which}`];
    const verb = this.#options.verb ?? "train";
    return [...lines, `stopped after step ${step}; to continue: gpt2 ${verb} --resume --out ${this.#out}`];
  }

  #describe(event: TrainEvent): string[] {
    switch (event.type) {
      case "start":
        return describeStart(event);
      case "validation": {
        const { step, loss, report, best } = event;
        const bpb = event.bitsPerByte === undefined ? "" : `, ${event.bitsPerByte.toFixed(4)} bits per byte`;
        const task = report ? `, ${describeReport(report)}` : "";
        return [`step ${step}: validation loss ${loss.toFixed(4)}${bpb}${task}${best ? " (best so far)" : ""}`];
      }
      case "sample":
        return [`step ${event.step}: sample`, ...event.text.split("\n").map((line) => `  | ${printableLine(line)}`)];
      case "end":
        return this.#describeEnd(event);
      default:
        return [];
    }
  }
}

function describeHead({ kind, labels }: NonNullable<StartEvent["head"]>): string {
  if (kind === "regression") return "a number for each text";
  if (kind === "spans") return "where the answer to a question starts and ends";
  const shown = labels.length > 12 ? [...labels.slice(0, 12), "…"] : labels;
  const of = kind === "tokens" ? "token" : "text";
  return `one of ${labels.length} labels for each ${of}: ${printableLine(shown.join(", "))}`;
}

/** An adapter in words. */
export function describeLora({ rank, alpha, rankStabilized, targets, extras }: LoraSettings): string {
  const scale = `${alpha} / ${rankStabilized ? "√" : ""}${rank}`;
  return `LoRA of rank ${rank} on ${[...targets, ...extras].join(", ")}, times ${scale}`;
}

/** A run's plan: model, memory, data and schedule. */
export function describeStart(event: StartEvent): string[] {
  const { config: c, settings: s, memory } = event;
  const heldOut = event.valTokens === undefined ? "no validation" : `${formatCount(event.valTokens)} held out`;
  const { lora, trainedParameters = 0, examples } = event;
  const share = ((100 * trainedParameters) / event.parameters).toFixed(2);
  const cut = examples && examples.cut > 0 ? `, ${formatCount(examples.cut)} cut to ${s.seqLength} tokens` : "";
  return [
    describeModel(c, event.parameters),
    ...(lora ? [`trained: ${formatCount(trainedParameters)} parameters, ${share}%, ${describeLora(lora)}`] : []),
    `${event.backend}; memory ${formatMemory(memory.total)}: ${memoryParts(memory)}`,
    ...(s.precision === "bf16" && !event.fastBf16
      ? ["products in bf16 are no faster than in f32 on this backend"]
      : []),
    `data ${event.data}: ${formatCount(event.trainTokens)} tokens, ${heldOut}`,
    ...(event.head ? [`learned: ${describeHead(event.head)}`] : []),
    ...(examples ? [`${formatCount(examples.train)} examples, ${formatCount(examples.val)} held out${cut}`] : []),
    `${s.steps} steps of ${formatCount(s.batchTokens)} tokens: ${event.epochs.toFixed(2)} epochs`,
    ...(event.resumed ? [`resumed after step ${event.step}`] : []),
  ];
}

export function describeModel(c: StartEvent["config"], parameters: number): string {
  const shape = `${c.nLayer} layers of ${c.nEmbd}, ${c.nHead} heads, context ${c.nCtx}, vocabulary ${c.vocabSize}`;
  return `${architectureOf(c).label}, ${shape}: ${formatCount(parameters)} parameters`;
}

/** The metrics of a report, on one line. */
export function describeReport(report: TaskReport): string {
  if ("windows" in report) {
    const { windows, exact, f1 } = report;
    return `${plural(windows, "window")}: exact ${formatPercent(exact, 1)}, F1 of tokens ${formatPercent(f1, 1)}`;
  }
  if ("entities" in report) {
    const { precision, recall, f1, accuracy } = report;
    return `F1 ${f1.toFixed(4)}, precision ${formatPercent(precision, 1)}, recall ${formatPercent(recall, 1)}, accuracy ${formatPercent(accuracy, 1)}`;
  }
  if (!("accuracy" in report)) {
    const { meanSquaredError, meanAbsoluteError } = report;
    return `mean squared error ${meanSquaredError.toPrecision(4)}, mean absolute error ${meanAbsoluteError.toPrecision(4)}`;
  }
  return `accuracy ${formatPercent(report.accuracy, 1)}, macro F1 ${report.macroF1.toFixed(4)}`;
}

/** A table row for each label or type of entity; none for numbers and spans. */
export function labelTable(report: TaskReport): string[] {
  const scores = (row: { readonly precision: number; readonly recall: number; readonly f1: number }) =>
    [formatPercent(row.precision, 1), formatPercent(row.recall, 1), row.f1.toFixed(4)] as const;
  const table = (names: readonly [string, string], rows: readonly (readonly string[])[]): string[] => {
    return formatTable([names[0], "precision", "recall", "F1", names[1]], rows).trimEnd().split("\n");
  };
  if ("entities" in report) {
    const rows = report.entities.map((entity) => [entity.type, ...scores(entity), formatInteger(entity.count)]);
    return table(["type", "entities"], rows);
  }
  if (!("labels" in report)) return [];
  const rows = report.labels.map((label) => [label.label, ...scores(label), formatInteger(label.texts)]);
  return table(["label", "texts"], rows);
}

/** Runs a training that a signal, or a closed standard output, stops after the current pass, with a checkpoint. */
export async function runUntilStopped(
  reporter: TrainReporter,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const onStop = () => reporter.notice("stopping after this pass and saving a checkpoint (once more to quit at once)");
  await interruptible(run, { onStop }).finally(() => reporter.close());
}
