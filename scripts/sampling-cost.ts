/**
 * Measures what sampling adds to a step of many sequences, in processor time: for each way of sampling, it compares
 * whole generations by the library with runs of the engine that sample nothing.
 *
 *     node dist/scripts/sampling-cost.js [MODEL] [--sequences 32] [--tokens 24] [--rounds 3] [--only "top-k 40"]
 */
import { parseArgs } from "node:util";
import type { Continuation } from "../src/generate/job.js";
import { type GenerateOptions, GPT2 } from "../src/index.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sequences: { type: "string", default: "32" },
    tokens: { type: "string", default: "24" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const [sequences, tokens, rounds] = [flags.sequences, flags.tokens, flags.rounds].map(Number) as [
  number,
  number,
  number,
];
const model = await GPT2.load(positionals[0], {
  threads: Number(flags.threads),
  scheduling: { slots: sequences, reserve: true, prefixCache: false },
});
const { scheduler } = model.generation();

const WAYS: Readonly<Record<string, GenerateOptions>> = {
  greedy: { temperature: 0 },
  "top-k 40": { temperature: 0.8, topK: 40 },
  "top-p 0.9": { temperature: 1, topK: 0, topP: 0.9 },
  "top-k 40, top-p 0.9, min-p 0.02": { temperature: 1, topK: 40, topP: 0.9, minP: 0.02 },
  "min-p 0.1": { temperature: 1, topK: 0, minP: 0.1 },
  "temperature 1": { temperature: 1, topK: 0 },
  "top-k 40, penalties": { topK: 40, repetitionPenalty: 1.2, presencePenalty: 0.5, frequencyPenalty: 0.5 },
  "top-p 0.9, penalties": { topK: 0, topP: 0.9, repetitionPenalty: 1.2, presencePenalty: 0.5, frequencyPenalty: 0.5 },
  "greedy, 5 alternatives": { temperature: 0, alternatives: 5 },
  "top-k 40, 5 alternatives": { topK: 40, alternatives: 5 },
  "typical 0.9": { topK: 0, typicalP: 0.9 },
  "mirostat 2": { topK: 0, mirostatTau: 5 },
};

/** The words of the prompts, 16 tokens each, all different. */
const WORDS =
  " the of and to in is you that it he was for on are as with his they at be this from have or by one had not";
const prompts = Array.from({ length: sequences }, (_, i) => {
  const words = WORDS.trim().split(" ");
  return model.tokenizer!.encode(
    Array.from({ length: 16 }, (__, k) => ` ${words[(i * 7 + k * 3) % words.length]}`).join(""),
  );
});

/** A continuation with fixed tokens: nothing is sampled. */
class Unsampled implements Continuation {
  #left = tokens;
  constructor(readonly length: number) {}
  sample(): undefined {
    return undefined;
  }
  accept(): void {}
  next(): { tokens: number[]; keep: number } | undefined {
    if (--this.#left <= 0) return undefined;
    return { tokens: [100 + this.#left], keep: this.length + tokens - this.#left - 1 };
  }
}

/** Processor milliseconds of this process. */
async function cost(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const runs = () =>
  cost(() =>
    Promise.all(prompts.map((ids) => scheduler.submit({ tokens: [...ids], continuation: new Unsampled(ids.length) }))),
  );
const generations = (options: GenerateOptions) =>
  cost(() =>
    Promise.all(
      prompts.map((ids, seed) =>
        model.complete(ids, { ...options, seed, maxNewTokens: tokens, stopAtEndOfText: false }),
      ),
    ),
  );

await runs();
console.log("| sampling | ms per step | sampling, ms | share of the step |\n|---|---|---|---|");
for (const [name, options] of Object.entries(WAYS)) {
  if (flags.only !== undefined && !name.includes(flags.only)) continue;
  await generations(options);
  let [alone, whole] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < rounds; i++) {
    alone = Math.min(alone, await runs());
    whole = Math.min(whole, await generations(options));
  }
  const [step, added] = [whole / tokens, (whole - alone) / tokens];
  console.log(`| ${name} | ${step.toFixed(2)} | ${added.toFixed(2)} | ${((100 * added) / step).toFixed(1)}% |`);
}
await model.dispose();
