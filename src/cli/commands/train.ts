import { statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { NativeBackend } from "../../backend/native/index.js";
import { chooseBackend } from "../../backend/choose.js";
import { readDatasetInfo } from "../../data/dataset-info.js";
import { UsageError } from "../../errors.js";
import { type GPT2Config, type GPT2Preset, gpt2Config, isPreset } from "../../model/config.js";
import type { TrainEvent } from "../../train/events.js";
import { gigabytes } from "../../train/memory.js";
import { MetricsFile } from "../../train/metrics.js";
import type { TrainSettings } from "../../train/settings.js";
import { Trainer } from "../../train/trainer.js";
import { type Progress, progress } from "../../util/progress.js";

const number = (text: string): number => {
  const value = Number(text.replaceAll("_", ""));
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("expected a number");
  return value;
};

/** Flags that are settings of the run, with what they mean; the defaults are the library's. */
const SETTINGS: readonly [flag: string, setting: keyof TrainSettings, help: string][] = [
  ["--batch-size <B>", "batchSize", "sequences in one pass (default 4)"],
  ["--seq-length <T>", "seqLength", "tokens in a sequence (default: the model's context)"],
  ["--batch-tokens <n>", "batchTokens", "tokens in one optimizer step, by accumulating passes (default: one pass)"],
  ["--steps <n>", "steps", "optimizer steps in all (default 1000)"],
  ["--warmup <n>", "warmupSteps", "steps of linear warm-up (default 100)"],
  ["--lr <x>", "lr", "peak learning rate (default 6e-4)"],
  ["--min-lr <x>", "minLr", "learning rate at the end of the cosine (default: a tenth of the peak)"],
  ["--beta1 <x>", "beta1", "AdamW (default 0.9)"],
  ["--beta2 <x>", "beta2", "AdamW (default 0.95)"],
  ["--weight-decay <x>", "weightDecay", "decoupled, on matrices only (default 0.1)"],
  ["--clip <x>", "maxNorm", "largest gradient norm, 0 for none (default 1)"],
  ["--dropout <p>", "dropout", "probability of dropping (default 0)"],
  ["--seed <n>", "seed", "of initialisation, data order and dropout (default 1)"],
  ["--val-every <n>", "valEvery", "validate every n steps (default 250)"],
  ["--val-batches <n>", "valBatches", "passes in a validation, 0 for the whole set (default 20)"],
  ["--sample-every <n>", "sampleEvery", "write a sample every n steps (default 0: never)"],
  ["--sample-tokens <n>", "sampleTokens", "its length (default 64)"],
  ["--save-every <n>", "saveEvery", "checkpoint every n steps (default 250)"],
  ["--keep <n>", "keep", "newest checkpoints kept, besides the best (default 2)"],
];

const SHAPE: readonly [flag: string, field: keyof GPT2Config, help: string][] = [
  ["--layers <n>", "nLayer", "layers"],
  ["--embd <n>", "nEmbd", "width"],
  ["--heads <n>", "nHead", "attention heads (default: width / 64)"],
  ["--context <n>", "nCtx", "longest sequence"],
  ["--vocab-size <n>", "vocabSize", "default: the data's tokenizer's"],
];

export function registerTrain(program: Command): void {
  const command = program
    .command("train")
    .description("train a GPT-2 from scratch on data prepared by `gpt2 data`")
    .argument("<data>", "folder made by `gpt2 data`, or token shards")
    .requiredOption("--out <dir>", "the run's folder: checkpoints, metrics, and the finished model in model/")
    .option("--preset <name>", "shape: gpt2, gpt2-medium, gpt2-large, gpt2-xl");
  for (const [flag, , help] of [...SHAPE, ...SETTINGS]) command.option(flag, help, number);
  command
    .option("--from <model>", "start from this model's weights")
    .option("--resume", "continue the run in --out, bit for bit")
    .option("--threads <n>", "threads that compute", number)
    .option("--backend <name>", "native or reference")
    .option("--json", "print the events as JSON lines on stdout")
    .action((data: string, flags: Record<string, unknown>) => train(data, flags));
}

/** The commander name of a flag: `--val-every <n>` is valEvery. */
const key = (flag: string): string =>
  flag.slice(2).split(" ")[0]!.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

function collect<K extends string>(table: readonly [string, K, string][], flags: Record<string, unknown>): Partial<Record<K, number>> {
  const found: Partial<Record<K, number>> = {};
  for (const [flag, field] of table) {
    const value = flags[key(flag)];
    if (value !== undefined) found[field] = value as number;
  }
  return found;
}

function modelConfig(data: string, flags: Record<string, unknown>): GPT2Config {
  const preset = flags.preset as string | undefined;
  if (preset !== undefined && !isPreset(preset)) {
    throw new UsageError({ op: "--preset", expected: "gpt2, gpt2-medium, gpt2-large or gpt2-xl", got: preset });
  }
  const shape: { -readonly [K in keyof GPT2Config]?: GPT2Config[K] } = collect(SHAPE, flags);
  if (shape.nEmbd !== undefined && shape.nHead === undefined) shape.nHead = Math.max(1, Math.round(shape.nEmbd / 64));
  const info = statSync(data, { throwIfNoEntry: false })?.isDirectory() ? readDatasetInfo(data) : undefined;
  if (shape.vocabSize === undefined && info) shape.vocabSize = info.tokenizer.vocabSize;
  return gpt2Config((preset ?? "gpt2") as GPT2Preset, shape);
}

async function train(data: string, flags: Record<string, unknown>): Promise<void> {
  const out = flags.out as string;
  const resume = flags.resume === true;
  const { backend } = await chooseBackend({
    ...(flags.backend !== undefined && { backend: flags.backend as "native" | "reference" }),
    ...(flags.threads !== undefined && { threads: flags.threads as number }),
  });
  const peakFlops = backend instanceof NativeBackend ? await backend.peakFlops() : undefined;
  const from = flags.from as string | undefined;
  const trainer = await Trainer.create({
    backend,
    data,
    out,
    settings: collect(SETTINGS, flags),
    peakFlops,
    resume,
    ...(from !== undefined ? { from } : resume ? {} : { config: modelConfig(data, flags) }),
  });
  await mkdir(out, { recursive: true });
  const metrics = await MetricsFile.open(join(out, "metrics.jsonl"), trainer.step);
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write("\nStopping after this step and saving a checkpoint (Ctrl-C again to quit at once)\n");
    stop.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const report = flags.json === true ? (event: TrainEvent) => console.log(JSON.stringify(event)) : reporter(trainer, out);
  try {
    for await (const event of trainer.run(stop.signal)) {
      metrics.write(event);
      report(event);
    }
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    metrics.close();
  }
  if (stop.signal.aborted) process.exitCode = 130;
}

/** What a person sees: the plan, a progress line, validations, and where the model is. */
function reporter(trainer: Trainer, out: string): (event: TrainEvent) => void {
  const { steps } = trainer.settings;
  let line: Progress | undefined;
  const say = (text: string): void => (line && process.stderr.isTTY ? line.log(text) : console.log(text));
  return (event) => {
    switch (event.type) {
      case "start": {
        const { config: c, memory: m, settings: s } = event;
        const millions = (event.parameters / 1e6).toFixed(1);
        console.log(`GPT-2, ${c.nLayer} layers of ${c.nEmbd}, ${c.nHead} heads, context ${c.nCtx}, vocabulary ${c.vocabSize}: ${millions}M parameters`);
        console.log(`${event.backend}; ${steps} steps of ${s.batchTokens} tokens, ${event.epochs.toFixed(2)} epochs of ${(event.trainTokens / 1e6).toFixed(1)}M tokens`);
        console.log(`memory ${gigabytes(m.total)}: parameters, gradients and optimizer ${gigabytes(4 * m.parameters)}, activations ${gigabytes(m.activations + m.validation)}`);
        if (event.resumedFrom !== undefined) console.log(`resumed after step ${event.resumedFrom}`);
        line = progress({ label: "training", total: steps * s.batchTokens, unit: "tokens", start: event.step * s.batchTokens });
        break;
      }
      case "step": {
        const use = event.utilization === undefined ? "" : `, ${(100 * event.utilization).toFixed(0)}% of peak`;
        line?.update(event.tokens, `step ${event.step}/${steps}, loss ${event.loss.toFixed(4)}, lr ${event.lr.toExponential(2)}${use}`);
        break;
      }
      case "validation": {
        const bpb = event.bitsPerByte === undefined ? "" : `, ${event.bitsPerByte.toFixed(4)} bits per byte`;
        say(`step ${event.step}: validation loss ${event.loss.toFixed(4)}${bpb}${event.best ? " (best)" : ""}`);
        break;
      }
      case "sample":
        say(`step ${event.step}: ${JSON.stringify(event.text)}`);
        break;
      case "checkpoint":
        break;
      case "end":
        line?.done();
        if (event.finished) console.log(`done: the model is in ${event.model}`);
        else console.log(`stopped after step ${event.step}; continue with --resume --out ${out}`);
    }
  };
}
