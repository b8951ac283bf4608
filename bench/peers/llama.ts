/**
 * llama.cpp, through node-llama-cpp, on the GPT-2 that python/make_gguf.py writes: prefill and decode speed at batch 1,
 * on the CPU, and greedy ids. Prints one JSON line.
 *
 *     npm install --prefix bench/peers
 *     python3 bench/peers/python/make_gguf.py CACHE/gpt2-124m-seeded.gguf
 *     node dist/bench/peers/llama.js CACHE/gpt2-124m-seeded.gguf --threads 2
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { packageFile } from "../../src/util/package-root.js";

/** The part of node-llama-cpp used here: it is installed in bench/peers only, so its own types may be missing. */
interface NodeLlamaCpp {
  getLlama(options: {
    gpu: false;
    build: "never";
    skipDownload: true;
    maxThreads: number;
    logLevel: "error";
  }): Promise<{ loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<LlamaModel> }>;
}
interface LlamaModel {
  createContext(options: {
    contextSize: number;
    batchSize: number;
    threads: { ideal: number; min: number };
    flashAttention: "auto" | boolean;
    experimentalKvCacheKeyType: KvType;
    experimentalKvCacheValueType: KvType;
  }): Promise<{ getSequence(): LlamaSequence; flashAttention: "auto" | boolean }>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  /** Evaluates the tokens, then yields a new one at each step and evaluates it at the next. */
  evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncGenerator<number>;
}
type KvType = "F16" | "F32";

async function importPeer(name: string): Promise<unknown> {
  const require = createRequire(packageFile("bench/peers/package.json"));
  return import(pathToFileURL(require.resolve(name)).href);
}

function installedVersion(name: string): string {
  const path = packageFile(`bench/peers/node_modules/${name}/package.json`);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/** Greedy ids after the prompt; seconds to the first one, which pays for the prompt, and for each of the others. */
async function generate(sequence: LlamaSequence, prompt: readonly number[], count: number) {
  await sequence.clearHistory();
  const ids: number[] = [];
  const seconds: number[] = [];
  let last = performance.now();
  for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    const now = performance.now();
    seconds.push((now - last) / 1000);
    last = now;
    ids.push(id);
    if (ids.length > count) break;
  }
  return { ids, first: seconds[0]!, others: seconds.slice(1) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Which of the prebuilt's CPU libraries (haswell, zen4, …) llama.cpp chose: Linux tells. */
function loadedCpuLibrary(): string | undefined {
  try {
    return /libggml-cpu[^/\s]*/.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
  } catch {
    return undefined;
  }
}

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      threads: { type: "string", default: "2" },
      prefill: { type: "string", default: "512" },
      decode: { type: "string", default: "64" },
      repeats: { type: "string", default: "5" },
      prompt: { type: "string", default: "" },
      kv: { type: "string", default: "F16" },
      "no-flash-attention": { type: "boolean", default: false },
    },
  });
  const [gguf] = positionals;
  if (gguf === undefined || positionals.length > 1) throw new Error("usage: llama.js MODEL.gguf [--threads N] …");
  if (values.kv !== "F16" && values.kv !== "F32") throw new Error("--kv is F16 (llama.cpp's default) or F32");
  return {
    gguf,
    kv: values.kv as KvType,
    threads: Number(values.threads),
    prefill: Number(values.prefill),
    decode: Number(values.decode),
    repeats: Number(values.repeats),
    flashAttention: values["no-flash-attention"] ? false : ("auto" as const),
    prompt: values.prompt === "" ? fixturePrompt() : values.prompt.split(",").map(Number),
  };
}

/** The prompt whose greedy ids transformers gave, in test/fixtures/gpt2-124m. */
function fixturePrompt(): number[] {
  const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/gpt2-124m/expected.json"), "utf8")) as {
    greedy: { prompt: number[] };
  };
  return fixture.greedy.prompt;
}

async function measure(sequence: LlamaSequence, options: ReturnType<typeof readOptions>) {
  const long = Array.from({ length: options.prefill }, (_, i) => (i * 7919) % 50257);
  await generate(sequence, long, 1); // warm-up: page in the weights, allocate the graph
  const prefillSeconds: number[] = [];
  const afterPrefill: number[] = [];
  const afterPrompt: number[] = [];
  let ids: number[] = [];
  for (let r = 0; r < options.repeats; r++) {
    const far = await generate(sequence, long, options.decode);
    prefillSeconds.push(far.first);
    afterPrefill.push(...far.others);
    const near = await generate(sequence, options.prompt, options.decode);
    afterPrompt.push(...near.others);
    ids = near.ids;
  }
  const decode = (context: number, seconds: number[]) => ({
    context,
    tokens: options.decode,
    tokensPerSecond: 1 / median(seconds),
  });
  return {
    // Time to the first new token.
    prefill: { tokens: options.prefill, tokensPerSecond: options.prefill / median(prefillSeconds), prefillSeconds },
    decode: [decode(options.prompt.length, afterPrompt), decode(options.prefill, afterPrefill)],
    prompt: options.prompt,
    ids: ids.slice(0, 24),
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const { getLlama } = (await importPeer("node-llama-cpp")) as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    maxThreads: options.threads,
    logLevel: "error",
  });
  const model = await llama.loadModel({ modelPath: options.gguf, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: 1024,
    batchSize: Math.max(512, options.prefill),
    threads: { ideal: options.threads, min: options.threads },
    flashAttention: options.flashAttention,
    experimentalKvCacheKeyType: options.kv,
    experimentalKvCacheValueType: options.kv,
  });
  const result = await measure(context.getSequence(), options);
  console.log(
    JSON.stringify({
      name: "node-llama-cpp",
      threads: options.threads,
      kv: options.kv,
      flashAttention: context.flashAttention,
      ...result,
      library: loadedCpuLibrary(),
      versions: { nodeLlamaCpp: installedVersion("node-llama-cpp"), node: process.versions.node },
    }),
  );
  process.exit(0); // llama.cpp's threads would otherwise keep the process for a while
}

await main();
