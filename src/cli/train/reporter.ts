import type { StartEvent, TrainEvent } from "../../train/events.js";
import { formatMemory, memoryParts } from "../../train/memory.js";
import type { PassProgress } from "../../train/trainer.js";
import { formatCount, formatDuration, type Progress, progress } from "../../util/progress.js";

export interface ReporterOptions {
  /** Events as JSON lines on stdout instead of text. */
  readonly json: boolean;
  /** Progress as ordinary lines where stderr is no terminal. */
  readonly plain: boolean;
}

/** Shows a run to whoever started it: its plan, validations, samples and result on stdout, a progress line on stderr. */
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
    if (this.#options.json) this.#print(JSON.stringify(event));
    else for (const line of this.#describe(event)) this.#print(line);
  }

  /** Steps of many passes take long. */
  readonly pass = ({ pass, passes, tokens }: PassProgress): void => {
    if (pass < passes) this.#line?.update(tokens, this.#latest);
  };

  /** A line for the person at the terminal, besides the results. */
  notice(text: string): void {
    this.#line?.clear();
    process.stderr.write(`${text}\n`);
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
    // On one terminal, events would run through the line at every step.
    if (json && process.stdout.isTTY) return "off";
    return plain && !process.stderr.isTTY ? "plain" : "auto";
  }

  #print(line: string): void {
    if (process.stdout.isTTY) this.#line?.clear();
    process.stdout.write(`${line}\n`);
  }

  #describe(event: TrainEvent): string[] {
    switch (event.type) {
      case "start":
        return describeStart(event);
      case "validation": {
        const bpb = event.bitsPerByte === undefined ? "" : `, ${event.bitsPerByte.toFixed(4)} bits per byte`;
        return [
          `step ${event.step}: validation loss ${event.loss.toFixed(4)}${bpb}${event.best ? " (best so far)" : ""}`,
        ];
      }
      case "sample":
        return [`step ${event.step}: sample`, ...printable(event.text).map((line) => `  | ${line}`)];
      case "end": {
        const { best, step, model, seconds } = event;
        const lines = best ? [`best validation loss ${best.loss.toFixed(4)}, after step ${best.step}`] : [];
        if (model !== undefined) return [...lines, `done in ${formatDuration(seconds)}: the model is in ${model}`];
        return [...lines, `stopped after step ${step}; to go on: gpt2 train --resume --out ${this.#out}`];
      }
      default:
        return [];
    }
  }
}

/** A text's lines, without what a terminal would obey: a model that has just begun writes anything. */
function printable(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, "\ufffd"));
}

/** What is about to be done, and what it takes. */
export function describeStart(event: StartEvent): string[] {
  const { config: c, settings: s, memory } = event;
  const heldOut = event.valTokens === undefined ? "no validation" : `${formatCount(event.valTokens)} held out`;
  return [
    describeModel(c, event.parameters),
    `${event.backend}; memory ${formatMemory(memory.total)}: ${memoryParts(memory)}`,
    `data ${event.data}: ${formatCount(event.trainTokens)} tokens, ${heldOut}`,
    `${s.steps} steps of ${formatCount(s.batchTokens)} tokens: ${event.epochs.toFixed(2)} times through the data`,
    ...(event.resumed ? [`resumed after step ${event.step}`] : []),
  ];
}

export function describeModel(c: StartEvent["config"], parameters: number): string {
  const shape = `${c.nLayer} layers of ${c.nEmbd}, ${c.nHead} heads, context ${c.nCtx}, vocabulary ${c.vocabSize}`;
  return `GPT-2, ${shape}: ${formatCount(parameters)} parameters`;
}
