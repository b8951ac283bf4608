import { type Command, Option } from "commander";
import { parameterCount } from "../../architectures/registry.js";
import { type BackendChoice, chooseBackend } from "../../backend/choose.js";
import { SPAN_LABELS } from "../../data/examples/labelled-folder.js";
import { TEMPLATES } from "../../data/examples/template.js";
import { UsageError } from "../../errors.js";
import { convertModel } from "../../pretrained/convert.js";
import { describeModel as readModel } from "../../train/base-model.js";
import { finetune, finetuneDefaults } from "../../train/finetune.js";
import { FINETUNE_TASKS, type FinetuneTask } from "../../train/finetune-data.js";
import { loraPlan, loraSettings } from "../../train/lora-settings.js";
import { formatMemory, memoryParts, trainMemory } from "../../train/memory.js";
import { settingsFor } from "../../train/settings.js";
import { type AdapterStart, type RunStart, resumedRun } from "../../train/start.js";
import type { Trainer } from "../../train/trainer.js";
import { formatCount, progress } from "../../util/progress.js";
import { downloadLine } from "../model.js";
import { addMachineOptions, addReportOptions, MODEL_FLAG, number } from "../options.js";
import { printJson, printLines } from "../output.js";
import { type PreviewFlags, preview, readTemplate } from "../template.js";
import {
  addLoraFlags,
  addSettingFlags,
  addSwitches,
  type Flags,
  givenLora,
  givenSettings,
  type LoraFlags,
} from "../train/flags.js";
import { describeLora, describeModel, runUntilStopped, TrainReporter } from "../train/reporter.js";

interface FinetuneFlags extends Flags, LoraFlags, PreviewFlags {
  readonly model?: string;
  readonly out?: string;
  readonly resume?: true;
  readonly plan?: true;
  readonly epochs?: number;
  readonly task?: FinetuneTask;
  readonly val?: string[];
  readonly valFraction?: number;
  readonly samplePrompt?: string;
  readonly offline?: true;
  readonly threads?: number;
  readonly backend?: BackendChoice;
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
Data: text; or JSONL of { "prompt", "completion" }, of { "messages": [{ "role",
"content" }] }, or of any fields with a template. Only completions and the
assistant's messages are learned:

  --template '{ "prompt": "Q: {question}\\nA:", "completion": " {answer}<|endoftext|>" }'

--preview shows the first examples with their loss mask. See docs/finetuning.md.

--task classify trains a classifier (for gpt2 classify) on JSONL of { "text", "label" };
--task regress learns numbers. With a BERT, --task label (for gpt2 label) learns a label
for each word from { "tokens", "tags" }; --task answer (for gpt2 answer) learns to find
answers to questions, from SQuAD's files or { "question", "context", "answers" }; and
classify takes pairs too, { "text", "pair", "label" }.

Examples:
  $ gpt2 finetune reviews.jsonl --task classify --out runs/reviews
  $ gpt2 finetune train-v2.0.json --task answer --model bert-base-uncased --lr 3e-5 --out runs/qa
  $ gpt2 finetune notes/ --out runs/notes --lora
  $ gpt2 finetune chats.jsonl --model gpt2 --lora 16 --dtype q8_0 --out runs/chat
  $ gpt2 "User: Hello!" --adapter runs/chat/adapter
  $ gpt2 finetune book.txt --model gpt2 --out runs/book --plan`;

/** Adds `gpt2 finetune`. */
export function registerFinetune(program: Command): void {
  const command = program
    .command("finetune")
    .summary("fine-tune a model, or train a LoRA adapter")
    .description("Fine-tune a model on your own text, prompts or chats: all of its weights, or a LoRA adapter.")
    .argument("[data...]", "text, JSONL, folders of them; or one folder of tokens made by `gpt2 data`")
    .option("-m, --model <name>", MODEL_FLAG)
    .option("-o, --out <dir>", "the run's folder: checkpoints, metrics, and finally adapter/ or model/")
    .option("--resume", "continue the run in --out, bit for bit; other flags need not be repeated")
    .option("--plan", "print the model, the trained parameters and the memory, and stop")
    .option("--preview [n]", "print the first n examples, and stop (default: 3)", number);
  addLoraFlags(command);
  command.optionsGroup("Data:");
  command
    .option("--template <t>", `for JSONL: ${Object.keys(TEMPLATES).join(", ")}, a file, or JSON (default: what fits)`)
    .addOption(
      new Option(
        "--task <task>",
        'learn the label of JSONL { "text", "label" }: one of some names, or a number; with a BERT also of words, and answers',
      ).choices(Object.keys(FINETUNE_TASKS)),
    )
    .option("--val <path...>", "files to hold out")
    .option("--val-fraction <x>", "share of documents or examples to hold out (default: 0.1)", number)
    .option("--epochs <n>", "passes through the data (default: 3, unless --steps is given)", number);
  command.optionsGroup("Training:");
  addSettingFlags(command, SHOWN_DEFAULTS);
  addSwitches(command, ["--recompute", "--across-documents", "--last"]);
  command.option("--sample-prompt <text>", "prompt of samples (default: none, for new texts)");
  command.optionsGroup("Machine:");
  command.option("--offline", "fetch nothing; a model from elsewhere must be in the cache");
  addReportOptions(addMachineOptions(command), "print events as JSON lines");
  command.addHelpText("after", HELP).action(async (data: string[], flags: FinetuneFlags) => {
    if (flags.task && flags.preview !== undefined) {
      throw new UsageError({ op: "--preview", expected: "prompts or chats", got: `--task ${flags.task}` });
    }
    if (flags.preview !== undefined) await preview(data, flags);
    else if (flags.plan) await plan(flags);
    else await run(data, flags);
  });
}

/** Defaults that differ from training from scratch: see {@link finetuneDefaults}. */
const SHOWN_DEFAULTS = {
  batchSize: "as many as make 4096 tokens",
  steps: "three epochs",
  lr: "0.001 for an adapter, else 0.0001",
  beta2: "0.999",
  weightDecay: "0",
  valEvery: "four times an epoch",
  valBatches: "0",
  sampleEvery: "once an epoch",
  saveEvery: "four times an epoch",
  keep: "1",
  patience: "3",
};

async function run(data: readonly string[], flags: FinetuneFlags): Promise<void> {
  const { out, resume = false } = flags;
  const missing = (expected: string): never => {
    throw new UsageError({ op: "gpt2 finetune", expected, got: "none", hint: "See gpt2 finetune --help" });
  };
  if (out === undefined) return missing("--out, the run's folder");
  if (data.length === 0 && !resume) return missing("data");
  const reporter = new TrainReporter(out, {
    json: flags.json === true,
    plain: flags.progress === true,
    verb: "finetune",
  });
  const { backend } = await chooseBackend({
    backend: flags.backend,
    threads: flags.threads,
    onFallback: (reason, { description }) =>
      reporter.notice(`${reason.message}. Training on ${description} is slower.`),
  });
  const [downloads, line] = [downloadLine(), progress({ label: "data", unit: "B" })];
  let trainer: Trainer;
  try {
    trainer = await finetune({
      backend,
      ...(data.length > 0 && { data }),
      out,
      resume,
      from: flags.model,
      locate: { offline: flags.offline, onDownload: downloads.onDownload },
      lora: resume && flags.lora === undefined ? undefined : givenLora(flags),
      dtype: flags.dtype,
      settings: givenSettings(flags),
      epochs: flags.epochs,
      template: readTemplate(flags.template),
      task: flags.task,
      val: flags.val,
      valFraction: flags.valFraction,
      samplePrompt: flags.samplePrompt,
      peakFlops: await backend.peakFlops?.(),
      onPass: reporter.pass,
      onPrepare: ({ bytesRead, bytesTotal }) => {
        line.setTotal(bytesTotal);
        line.update(bytesRead);
      },
    });
  } finally {
    downloads.end();
    line.done();
  }
  let adapter: string | undefined;
  await runUntilStopped(reporter, async (signal) => {
    for await (const event of trainer.run(signal)) {
      reporter.report(event);
      if (event.type === "end") adapter = event.adapter;
    }
  });
  if (flags.merge && adapter !== undefined) await merge(adapter, `${out}/model`, flags, reporter);
}

async function merge(adapter: string, to: string, flags: FinetuneFlags, reporter: TrainReporter): Promise<void> {
  const { model, offline, json } = flags;
  await convertModel(model, to, { merge: adapter, offline, overwrite: true });
  if (!json) reporter.notice(`the model with the adapter merged is in ${to}`);
}

type PlannedRun = Pick<RunStart, "config" | "settings" | "head"> & { adapter?: Pick<AdapterStart, "lora" | "types"> };

/** The model and settings of the run in the flags, a new one or one to resume. */
async function plannedRun(flags: FinetuneFlags): Promise<PlannedRun> {
  const { model, dtype, offline, task, out, resume } = flags;
  const given = givenLora(flags);
  const downloads = downloadLine();
  const locate = { offline, onDownload: downloads.onDownload };
  try {
    if (resume) {
      if (out === undefined) throw new UsageError({ op: "--resume", expected: "--out, the run's folder", got: "none" });
      return await resumedRun({ out, lora: given, dtype, locate, settings: givenSettings(flags) });
    }
    const { config, types } = await readModel({ name: model, dtype, ...locate });
    const lora = given && loraSettings(given, config);
    const settings = settingsFor(config, finetuneDefaults(config, lora !== undefined, givenSettings(flags)));
    // Without the data, labels and lengths are unknown: a head of one output, and sequences of the longest length.
    const head = task && { kind: FINETUNE_TASKS[task], labels: task === "answer" ? SPAN_LABELS : [""] };
    return { config, settings, head, ...(lora && { adapter: { lora, types } }) };
  } finally {
    downloads.end();
  }
}

async function plan(flags: FinetuneFlags): Promise<void> {
  const { json, task } = flags;
  const { config, settings, head, adapter } = await plannedRun(flags);
  const { lora, types } = adapter ?? {};
  const memory = trainMemory(config, settings, { limit: Number.POSITIVE_INFINITY, lora, types, head });
  const parameters = parameterCount(config);
  const trained = lora ? loraPlan(config, lora).parameters : parameters;
  const text = [
    describeModel(config, parameters),
    `trained: ${formatCount(trained)} parameters, ${((100 * trained) / parameters).toFixed(2)}%${lora ? `, ${describeLora(lora)}` : ""}`,
    `passes of ${task ? "at most " : ""}${settings.batchSize} sequences of ${settings.seqLength}${settings.recompute ? ", activations recomputed" : ""}`,
    `memory ${formatMemory(memory.total)}: ${memoryParts(memory)}`,
  ];
  if (json) printJson({ config, parameters, trained, lora, settings, memory });
  else printLines(text);
}
