/**
 * Simulates a long-lived process: generations that run to their end, are aborted or left at random, alone and several at once; models
 * that are loaded and disposed of; Workers with models of their own. Memory must stay flat, and generated texts the same.
 *
 *     node dist/scripts/soak.js [--generations 5000] [--loads 500] [--workers 100] [--backend native] [--seed 1]
 *
 * Prints the resident memory after each of twenty parts, and fails if the second half needs more than the first.
 */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import koffi from "koffi";
import type { BackendChoice } from "../src/backend/choose.js";
import { type GenerateOptions, GPT2 } from "../src/index.js";
import { RandomStream } from "../src/util/random.js";

const PARTS = 20;
const PROMPT = "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals. ";
const REFERENCE: GenerateOptions = { maxNewTokens: 12, temperature: 0 };
/** Growth of the second half over the first: the allocators' noise. */
const MOST_GROWTH = 1.05;

/** V8 gives its young generation and compiled code more room as a program runs: fixed here, so that growth means a leak. */
const STEADY = [
  "--expose-gc",
  "--max-semi-space-size=1",
  "--no-opt",
  "--no-sparkplug",
  "--no-lazy-feedback-allocation",
];

interface Load {
  readonly backend: BackendChoice;
  readonly threads: number;
}

/** Runs one generation and ends it in one of the ways that a caller may. */
async function generateOnce(model: GPT2, random: RandomStream, seed: number): Promise<void> {
  const [how, most] = [random.below(6), 1 + random.below(24)];
  const abort = new AbortController();
  const prompt = PROMPT.repeat(1 + random.below(3)).slice(random.below(60));
  const samples = random.below(8) === 0 ? 3 : 1;
  const options = { maxNewTokens: most, seed, signal: abort.signal, samples, promptLookup: random.below(10) === 0 };
  if (how === 0) abort.abort();
  if (how === 1) setTimeout(() => abort.abort(), random.below(12));
  const stopAt = how === 2 ? random.below(most) : undefined;
  const abortAt = how === 3 ? random.below(most) : undefined;
  try {
    let count = 0;
    for await (const _ of model.generate(prompt, { ...options, promptLookup: options.promptLookup ? 7 : undefined })) {
      if (count === stopAt) break;
      if (count === abortAt) abort.abort();
      count++;
    }
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  }
}

async function generateMany(model: GPT2, count: number, random: RandomStream, seed: number): Promise<void> {
  const running: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    running.push(generateOnce(model, random, seed + i));
    if (random.below(4) > 0) await running.at(-1);
    if (running.length >= 16) await Promise.all(running.splice(0));
  }
  await Promise.all(running);
}

async function loadMany(count: number, load: Load, random: RandomStream): Promise<void> {
  for (let i = 0; i < count; i++) {
    const model = await GPT2.load(undefined, load);
    const how = random.below(3);
    if (how === 0) await model.complete("The", { maxNewTokens: 2, seed: i });
    // Disposed of during a generation, which is refused or ends.
    const generating = how === 1 ? model.complete("The", { maxNewTokens: 50 }).catch(() => undefined) : undefined;
    await model.dispose();
    await generating;
  }
}

/** Workers that end with their model disposed of, or not. */
async function workMany(count: number, load: Load): Promise<void> {
  for (let i = 0; i < count; i++) {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { load, dispose: i % 2 === 0 } });
    await new Promise<void>((resolve, reject) => worker.once("exit", () => resolve()).once("error", reject));
  }
}

async function work({ load, dispose }: { load: Load; dispose: boolean }): Promise<void> {
  const model = await GPT2.load(undefined, load);
  await model.complete("The", { maxNewTokens: 3, seed: 1 });
  if (dispose) await model.dispose();
}

/** Memory after everything unused was freed, in MB: resident memory, and V8's heap within it. */
interface Memory {
  readonly resident: number;
  readonly heap: number;
}

function memoryMeter(): () => Promise<Memory> {
  let trim: (() => void) | undefined;
  try {
    // The C library of Linux keeps freed memory.
    const mallocTrim = koffi.load("libc.so.6").func("int malloc_trim(size_t)");
    trim = () => mallocTrim(0);
  } catch {
    // Other systems lack this function.
  }
  return async () => {
    for (let i = 0; i < 5; i++) {
      globalThis.gc!();
      await sleep(20);
    }
    trim?.();
    const { rss, heapUsed } = process.memoryUsage();
    return { resident: rss / 1e6, heap: heapUsed / 1e6 };
  };
}

async function main(): Promise<void> {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  const { values } = parseArgs({
    options: {
      ...{ generations: text("5000"), loads: text("500"), workers: text("100") },
      ...{ backend: text("native"), seed: text("1") },
    },
  });
  const load: Load = { backend: values.backend as BackendChoice, threads: 1 };
  const [seed, perPart] = [Number(values.seed), (count: string) => Math.ceil(Number(count) / PARTS)];
  const [random, measure] = [new RandomStream(seed), memoryMeter()];
  const model = await GPT2.load(undefined, load);
  const before = (await model.complete(PROMPT, REFERENCE)).text;
  const series: Memory[] = [];
  for (let part = 0; part < PARTS; part++) {
    await generateMany(model, perPart(values.generations), random, 1e6 * part);
    await loadMany(perPart(values.loads), load, random);
    await workMany(perPart(values.workers), load);
    series.push(await measure());
    const { resident, heap } = series.at(-1)!;
    console.log(`part ${part + 1} of ${PARTS}: ${resident.toFixed(1)} MB, of them ${heap.toFixed(1)} in the heap`);
  }
  if ((await model.complete(PROMPT, REFERENCE)).text !== before) throw new Error("other text than at the start");
  await model.dispose();
  const most = (part: readonly Memory[]) => Math.max(...part.map(({ resident }) => resident));
  const [first, second] = [most(series.slice(0, PARTS / 2)), most(series.slice(PARTS / 2))];
  console.log(`at most ${first.toFixed(1)} MB in the first half, ${second.toFixed(1)} MB in the second`);
  if (second > MOST_GROWTH * first) process.exitCode = 1;
}

if (!isMainThread) await work(workerData);
else if (globalThis.gc) await main();
else {
  const args = [...STEADY, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  // Use one heap of the C library for all threads.
  const env = { ...process.env, MALLOC_ARENA_MAX: "1" };
  process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;
}
