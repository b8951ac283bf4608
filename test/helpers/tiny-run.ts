/** A small model on a little real text: runs that take a second, and the results compared between them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { prepareData } from "../../src/data/prepare.js";
import { BackendError } from "../../src/errors.js";
import { trainTokenizer } from "../../src/tokenizer/train.js";
import type { TrainEvent } from "../../src/train/events.js";
import type { TrainSettings } from "../../src/train/settings.js";
import { Trainer } from "../../src/train/trainer.js";
import type { TrainerOptions } from "../../src/train/trainer-options.js";
import { packageFile } from "../../src/util/package-root.js";

export const TINY_TEXT = packageFile("test/fixtures/text/looking-glass.txt");

/** Awkward on purpose: no width is a multiple of a vector's. */
export const TINY_SHAPE = { nLayer: 2, nEmbd: 30, nHead: 3, nCtx: 24, vocabSize: 320 };

export const TINY_SETTINGS: Partial<TrainSettings> = {
  batchSize: 2,
  batchTokens: 96,
  steps: 40,
  warmupSteps: 4,
  lr: 5e-3,
  dropout: 0.1,
  valEvery: 7,
  valBatches: 3,
  sampleEvery: 10,
  sampleTokens: 8,
  saveEvery: 5,
  keep: 2,
  seed: 3,
};

/** Makes the text into token shards with a vocabulary of its own. */
export async function tinyData(out: string): Promise<string> {
  const tokenizer = await trainTokenizer([readFileSync(TINY_TEXT, "utf8")], { vocabSize: TINY_SHAPE.vocabSize });
  await prepareData([TINY_TEXT], { out, tokenizer, workers: 0, valFraction: 0.1 });
  return out;
}

/** The native backend, or the reason why it is missing. */
export async function nativeOrReason(options: { threads?: number } = {}): Promise<Backend | string> {
  try {
    return await nativeBackend({ threads: 1, ...options });
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

/** The fastest available backend. */
export async function anyBackend(): Promise<Backend> {
  const native = await nativeOrReason();
  return typeof native === "string" ? referenceBackend() : native;
}

export type RunOptions = Partial<TrainerOptions> & Pick<TrainerOptions, "out"> & { readonly signal?: AbortSignal };

/** Trains to the end, and returns the events. */
export async function trainTiny(
  { signal, ...options }: RunOptions,
  onEvent: (event: TrainEvent) => void = () => {},
): Promise<TrainEvent[]> {
  const trainer = await Trainer.create({
    backend: await anyBackend(),
    ...(!options.resume && { config: TINY_SHAPE }),
    ...options,
    ...(!options.resume && { settings: { ...TINY_SETTINGS, ...options.settings } }),
  });
  const events: TrainEvent[] = [];
  for await (const event of trainer.run(signal)) {
    events.push(event);
    onEvent(event);
  }
  return events;
}

/** Steps, validations and samples of a run's metrics.jsonl, without fields that depend on the clock. */
export function curveOf(out: string): unknown[] {
  const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  return lines.flatMap((line) => {
    const { time, seconds, tokensPerSecond, utilization, ...event } = JSON.parse(line) as Record<string, unknown>;
    return ["step", "validation", "sample"].includes(event.type as string) ? [event] : [];
  });
}

/** The bytes of a run's finished model, and of the optimizer's state in its newest checkpoint. */
export function weightsOf(out: string): { model: Buffer; optimizer: Buffer } {
  const newest = checkpointsOf(out).at(-1)!;
  return {
    model: readFileSync(join(out, "model", "model.safetensors")),
    optimizer: readFileSync(join(out, "checkpoints", newest, "optimizer.safetensors")),
  };
}

export function checkpointsOf(out: string): string[] {
  return readdirSync(join(out, "checkpoints")).sort();
}
