import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { GPT2 } from "../src/gpt2.js";
import type { TrainEvent } from "../src/train/events.js";
import { packageFile } from "../src/util/package-root.js";

/**
 * The recipe of docs/finetuning.md: the default model, fine-tuned on three comedies of Shakespeare in several ways, and evaluated
 * on a fourth. Writes the figures and samples into that page, between its markers. Finished runs are not repeated.
 *
 *     node dist/scripts/finetune-recipe.js --work WORK [--only NAME] [--threads N] [--write]
 */
const TEXT = packageFile("scripts/finetune-recipe/three-comedies.txt.gz");
const HELD_OUT = packageFile("scripts/finetune-recipe/held-out.txt.gz");
const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const PAGE = packageFile("docs/finetuning.md");
const COMMON = ["--val", HELD_OUT, "--batch-size", "8", "--seq-length", "256", "--epochs", "3", "--sample-every", "0"];

/** The ways compared, by their name in the table. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  "the whole model": ["--lr", "3e-4"],
  "LoRA of rank 8": ["--lora", "8", "--lr", "5e-3"],
  "LoRA of rank 32": ["--lora", "32", "--lr", "3e-3"],
  "LoRA of rank 32, on c_attn alone": ["--lora", "32", "--lora-targets", "c_attn", "--lr", "5e-3"],
  "LoRA of rank 8, weights in q8_0": ["--lora", "8", "--dtype", "q8_0", "--lr", "5e-3"],
};
const PROMPT = "SCENE II. A wood near ATHENS.\n\n[Enter";
const SEED = 3;

interface Outcome {
  readonly name: string;
  readonly flags: readonly string[];
  readonly trained: number;
  /** Minutes of training, without validations. */
  readonly minutes: number;
  readonly bitsPerByte: number;
  readonly sample: string;
}

const { values } = parseArgs({
  options: {
    work: { type: "string" },
    only: { type: "string" },
    threads: { type: "string", default: "2" },
    /** Put the figures into docs/finetuning.md. */
    write: { type: "boolean", default: false },
  },
});
if (!values.work) {
  console.error("usage: node dist/scripts/finetune-recipe.js --work DIR [--only NAME] [--threads N] [--write]");
  process.exit(2);
}
const work = values.work;
const threads = Number(values.threads);
await mkdir(work, { recursive: true });
const heldOut = gunzipSync(readFileSync(HELD_OUT)).toString();

/** Bits per byte of the held-out play, each token predicted from at least 256 before it, and a sample. */
async function judge(model: GPT2): Promise<Pick<Outcome, "bitsPerByte" | "sample">> {
  const { bitsPerByte } = await model.score(heldOut);
  const { text } = await model.complete(PROMPT, { maxNewTokens: 120, seed: SEED });
  await model.dispose();
  return { bitsPerByte: bitsPerByte!, sample: PROMPT + text };
}

async function outcomeOf(name: string, flags: readonly string[]): Promise<Outcome> {
  const out = join(work, name.replace(/[^a-z0-9]+/gi, "-"));
  const saved = join(out, "outcome.json");
  if (existsSync(saved)) return JSON.parse(await readFile(saved, "utf8")) as Outcome;
  const args = ["finetune", TEXT, "--out", out, ...COMMON, ...flags, "--threads", String(threads)];
  console.log(`$ gpt2 ${args.join(" ")}`);
  const resume = existsSync(join(out, "checkpoints")) ? ["--resume"] : [];
  const { status } = spawnSync(process.execPath, [MAIN, ...args, ...resume], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
  const events = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const parsed = events.map((line) => JSON.parse(line) as TrainEvent);
  const start = parsed.find((event) => event.type === "start")!;
  const end = parsed.filter((event) => event.type === "end").at(-1)!;
  const judged = await judge(
    end.adapter
      ? await GPT2.load(undefined, { adapters: end.adapter, threads })
      : await GPT2.load(end.model, { threads }),
  );
  const trained = start.trainedParameters ?? start.parameters;
  const outcome = { name, flags, trained, minutes: end.seconds / 60, ...judged };
  await writeFile(saved, JSON.stringify(outcome, undefined, 2));
  return outcome;
}

const before = await judge(await GPT2.load(undefined, { threads }));
console.log(`before: ${before.bitsPerByte.toFixed(4)} bits per byte`);
const outcomes: Outcome[] = [];
for (const [name, flags] of Object.entries(WAYS)) {
  if (values.only !== undefined && values.only !== name) continue;
  outcomes.push(await outcomeOf(name, flags));
  console.log(`${name}: ${outcomes.at(-1)!.bitsPerByte.toFixed(4)} bits per byte`);
}
const report = `${table()}\n\n${samples()}`;
console.log(`\n${report}`);
if (values.write) await writePage(report);

function table(): string {
  const rows = outcomes.map(({ name, flags, trained, minutes, bitsPerByte }) => {
    const count = trained.toLocaleString("en");
    return `| ${name} | \`${flags.join(" ")}\` | ${count} | ${minutes.toFixed(1)} | **${bitsPerByte.toFixed(3)}** |`;
  });
  return [
    "| what is trained | flags | parameters | minutes | bits per byte of the held-out play |",
    "|---|---|---|---|---|",
    `| nothing: the unchanged default model | | 0 | 0 | ${before.bitsPerByte.toFixed(3)} |`,
    ...rows,
  ].join("\n");
}

/** Samples of the model before, after full fine-tuning, and with the first adapter: the same prompt and seed, unselected. */
function samples(): string {
  const shown = [{ name: "Before", sample: before.sample }, ...outcomes.slice(0, 2)];
  return shown.map(({ name, sample }) => `${name}:\n\n${quoted(sample)}`).join("\n\n");
}

function quoted(text: string): string {
  const lines = text.trimEnd().split("\n");
  return lines.map((line) => `    ${line}`.trimEnd()).join("\n");
}

async function writePage(report: string): Promise<void> {
  const page = await readFile(PAGE, "utf8");
  const [start, end] = ["<!-- recipe -->", "<!-- end of recipe -->"];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the recipe's figures`);
  await writeFile(PAGE, `${page.slice(0, from)}${start}\n\n${report}\n\n${page.slice(to)}`);
}
