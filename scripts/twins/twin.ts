import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BERT } from "../../src/bert.js";
import { GPT2 } from "../../src/gpt2.js";
import { withEncoderTokens } from "../../src/tokenizer/encoder-tokens.js";
import { readTokenizerJson, writeTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { packageFile } from "../../src/util/package-root.js";

/** Two models that differ only in mask, place of the norms, and objective. */
export const TWINS = ["gpt2", "bert"] as const;
export type TwinName = (typeof TWINS)[number];

export const VOCABULARY = 4096;
export const SHAPE = { layers: 4, embd: 128, heads: 2, context: 128 } as const;
/** Number of sequences in a step. */
export const BATCH = 16;
export const RATE = "2e-3";

/** Writes the vocabulary of both: a byte-level BPE, and a BERT's four special tokens, which are not added to texts. */
export function writeSharedTokenizer(from: string, to: string): void {
  const { template: _, ...vocabulary } = withEncoderTokens(readTokenizerJson(readFileSync(from, "utf8"), from));
  writeFileSync(to, writeTokenizerJson(vocabulary));
}

export interface TrainingOptions {
  readonly data: string;
  readonly out: string;
  readonly seed: number;
  readonly steps: number;
  readonly threads: string;
}

/** Trains one twin, or resumes its training. */
export function trainTwin(name: TwinName, { data, out, seed, steps, threads }: TrainingOptions): void {
  if (existsSync(join(out, "model"))) return;
  const shape = Object.entries(SHAPE).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const recipe = [
    ...["--arch", name, ...(name === "bert" ? ["--no-next-sentence"] : [])],
    ...[...shape, "--batch-size", String(BATCH), "--steps", String(steps)],
    ...["--lr", RATE, "--warmup", String(Math.ceil(steps / 20)), "--precision", "bf16", "--seed", String(seed)],
    ...["--val-every", String(Math.ceil(steps / 4)), "--sample-every", "0", "--keep", "1"],
  ];
  const how = existsSync(join(out, "checkpoints")) ? ["--resume"] : [data, ...recipe];
  gpt2("train", ...how, "--out", out, "--threads", threads, "--progress");
}

/** Size and cost of a training. */
export interface Training {
  readonly tokens: number;
  /** Number of predicted tokens. */
  readonly targets: number;
  readonly seconds: number;
  readonly parameters: number;
  /** Loss on the held-out text, in nats per predicted token. */
  readonly loss: number;
}

export function trainingOf(out: string): Training {
  const events = readFileSync(join(out, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number> & { type: string });
  const steps = new Map(events.filter(({ type }) => type === "step").map((event) => [event.step!, event]));
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const all = [...steps.values()];
  return {
    tokens: all.at(-1)!.tokens!,
    targets: sum(all.map(({ targets }) => targets!)),
    seconds: sum(all.map(({ seconds }) => seconds!)),
    parameters: events.find(({ type }) => type === "start")!.parameters!,
    loss: events.findLast(({ type }) => type === "validation")!.loss!,
  };
}

export type Twin = { readonly name: "gpt2"; readonly model: GPT2 } | { readonly name: "bert"; readonly model: BERT };

export async function loadTwin(name: TwinName, folder: string, threads: number): Promise<Twin> {
  if (name === "gpt2") return { name, model: await GPT2.load(folder, { threads }) };
  return { name, model: await BERT.load(folder, { threads }) };
}

/** The mean of each text's final hidden states. */
export function meanStates(twin: Twin, texts: readonly string[], normalize: boolean): Promise<Float32Array[]> {
  const options = { pooling: "mean", normalize, truncate: true } as const;
  return twin.name === "gpt2" ? twin.model.embed(texts, options) : twin.model.embed(texts, options);
}

export function gpt2(...args: string[]): void {
  const { status } = spawnSync(process.execPath, [packageFile("dist/src/cli/main.js"), ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
