import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { ModelConfig } from "../../architectures/config.js";
import {
  ARCHITECTURES,
  architectureOf,
  type ConfigFields,
  modelConfig,
  parameterCount,
  presetOf,
} from "../../architectures/registry.js";
import { type BackendChoice, chooseBackend } from "../../backend/choose.js";
import { readDatasetInfo } from "../../data/dataset-info.js";
import { readSmallText } from "../../data/small-file.js";
import { UsageError } from "../../errors.js";
import { withEncoderTokens } from "../../tokenizer/encoder-tokens.js";
import { readTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { describeModel as readModel } from "../../train/base-model.js";
import { formatMemory, memoryParts, trainMemory } from "../../train/memory.js";
import { settingsFor } from "../../train/settings.js";
import { type RunStart, resumedRun } from "../../train/start.js";
import { Trainer } from "../../train/trainer.js";
import { isFolder } from "../../util/is-folder.js";
import { addMachineOptions, addReportOptions } from "../options.js";
import { printJson, printLines } from "../output.js";
import { shardsOf } from "../train/data.js";
import { addTrainFlags, type Flags, givenSettings, givenShape } from "../train/flags.js";
import { describeModel, runUntilStopped, TrainReporter } from "../train/reporter.js";

interface TrainFlags extends Flags {
  readonly out?: string;
  readonly arch?: string;
  readonly preset?: string;
  readonly from?: string;
  readonly tokenizer?: string;
  readonly samplePrompt?: string;
  readonly resume?: true;
  /** False with --no-next-sentence. */
  readonly nextSentence?: boolean;
  readonly plan?: true;
  readonly threads?: number;
  readonly backend?: BackendChoice;
  readonly progress?: true;
  readonly json?: true;
}

type PlannedRun = Pick<RunStart, "config" | "settings" | "adapter" | "head">;

/** Adds `gpt2 train`. */
export function registerTrain(program: Command): void {
  const command = program
    .command("train")
    .summary("train a model from scratch")
    .description("Train a GPT-2, or another architecture, on token shards made by `gpt2 data`, or on text.")
    .argument(
      "[data]",
      "folder or shards made by `gpt2 data`, or a text file or folder, from which shards are made in --out first",
    )
    .option("-o, --out <dir>", "the run's folder: checkpoints, metrics, and the finished model in model/")
    .option("--resume", "continue the run in --out, bit for bit; other flags need not be repeated")
    .option("--from <model>", "start from this model's weights")
    .option(
      "--tokenizer <name>",
      "for text: gpt2, or a folder, tokenizer.json or .gguf with one (default: that of --from, or gpt2)",
    )
    .option("--sample-prompt <text>", "prompt of samples (default: none, for new texts)")
    .option("--no-next-sentence", "BERT: learn only masked tokens, without pairs of texts")
    .option("--plan", "print the model, the memory and the schedule, and stop");
  addReportOptions(addMachineOptions(command), "print events as JSON lines");
  command.optionsGroup("Model:");
  const architectures = [...ARCHITECTURES.values()];
  const presets = architectures.flatMap(({ presets }) => Object.keys(presets));
  command
    .addOption(
      new Option("--arch <name>", "architecture (default: that of --preset)").choices(architectures.map((a) => a.name)),
    )
    .addOption(new Option("--preset <name>", "shape (default: the smallest of --arch)").choices(presets));
  addTrainFlags(command);
  command.action((data: string | undefined, flags: TrainFlags) =>
    flags.plan ? plan(data, flags) : train(data, flags),
  );
}

async function train(given: string | undefined, flags: TrainFlags): Promise<void> {
  const { out, resume = false, from } = flags;
  if (out === undefined) throw new UsageError({ op: "gpt2 train", expected: "--out, the run's folder", got: "none" });
  if (given === undefined && !resume) {
    throw new UsageError({
      op: "gpt2 train",
      expected: "data to train on",
      got: "none",
      hint: "See gpt2 train --help",
    });
  }
  const reporter = new TrainReporter(out, { json: flags.json === true, plain: flags.progress === true });
  const { backend } = await chooseBackend({
    backend: flags.backend,
    threads: flags.threads,
    onFallback: (reason, { description }) =>
      reporter.notice(`${reason.message}. Training on ${description} is slower.`),
  });
  const settings = givenSettings(flags);
  const data =
    given &&
    (await shardsOf(given, {
      out,
      tokenizer: flags.tokenizer ?? from ?? "gpt2",
      noValidation: settings.valEvery === 0,
    }));
  const trainer = await Trainer.create({
    backend,
    data,
    out,
    settings,
    samplePrompt: flags.samplePrompt,
    resume,
    from,
    config: resume || from !== undefined ? givenFields(flags) : shapeFor(data, flags),
    peakFlops: await backend.peakFlops?.(),
    onPass: reporter.pass,
  });
  await runUntilStopped(reporter, async (signal) => {
    for await (const event of trainer.run(signal)) reporter.report(event);
  });
}

/** The model in the flags: architecture and sizes. */
function givenFields(flags: TrainFlags): ConfigFields {
  return { ...(flags.arch !== undefined && { architecture: flags.arch }), ...givenShape(flags) } as ConfigFields;
}

/** The shape in the flags; the vocabulary is the data's. */
function shapeFor(data: string | undefined, flags: TrainFlags): ModelConfig {
  const shape = givenShape(flags);
  const preset = flags.preset === undefined ? {} : presetOf(flags.preset);
  const architecture = flags.arch ?? preset.architecture ?? "gpt2";
  if (preset.architecture !== undefined && preset.architecture !== architecture) {
    throw new UsageError({
      op: `--preset ${flags.preset}`,
      expected: `a shape of ${architecture}`,
      got: preset.architecture,
    });
  }
  const vocabSize = data === undefined ? undefined : vocabularyOf(data, architecture);
  const nHead = shape.nEmbd === undefined ? undefined : Math.max(1, Math.round(shape.nEmbd / 64));
  return modelConfig({
    ...preset,
    architecture,
    ...(vocabSize !== undefined && { vocabSize }),
    ...(nHead !== undefined && { nHead }),
    ...shape,
    ...(flags.nextSentence === false && { nextSentence: false, pooler: false }),
  } as ConfigFields);
}

/** Size of the data's vocabulary, with the tokens that a BERT adds. */
function vocabularyOf(data: string, architecture: string): number | undefined {
  const size = isFolder(data) ? readDatasetInfo(data)?.tokenizer.vocabSize : undefined;
  const file = join(data, "tokenizer.json");
  if (size === undefined || architectureOf({ architecture }).attention === "causal" || !existsSync(file)) return size;
  return Math.max(
    size,
    withEncoderTokens(readTokenizerJson(readSmallText(file, { expected: "a tokenizer" }), file)).size,
  );
}

/** The model and settings of the run in the flags: resumed, from a model, or from scratch. */
async function plannedRun(data: string | undefined, flags: TrainFlags): Promise<PlannedRun> {
  const { out, from, resume } = flags;
  const settings = givenSettings(flags);
  if (resume) {
    if (out === undefined) throw new UsageError({ op: "--resume", expected: "--out, the run's folder", got: "none" });
    return resumedRun({ out, data, settings, config: givenFields(flags) });
  }
  const config = from === undefined ? shapeFor(data, flags) : (await readModel({ name: from })).config;
  return { config, settings: settingsFor(config, settings) };
}

async function plan(data: string | undefined, flags: TrainFlags): Promise<void> {
  const { config, settings, adapter, head } = await plannedRun(data, flags);
  const parameters = parameterCount(config);
  const { lora, types } = adapter ?? {};
  const memory = trainMemory(config, settings, { limit: Number.POSITIVE_INFINITY, lora, types, head });
  const text = [
    describeModel(config, parameters),
    `${settings.steps} steps of ${settings.batchTokens} tokens, ${settings.batchSize} sequences of ${settings.seqLength} in a pass`,
    `memory ${formatMemory(memory.total)}: ${memoryParts(memory)}`,
  ];
  if (flags.json) printJson({ config, parameters, settings, memory });
  else printLines(text);
}
