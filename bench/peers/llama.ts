/**
 * llama.cpp, prebuilt, through node-llama-cpp as a contender (bench/protocol.ts) on the GGUF that python/make_gguf.py
 * writes. llama-cpp/main.cpp is llama.cpp without node-llama-cpp, built for the machine.
 */
import { readFileSync } from "node:fs";
import type { BatchResult, BatchTask, GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve } from "../worker.js";
import { importPeer, peerVersion } from "./import-peer.js";

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
    sequences: number;
    threads: { ideal: number; min: number };
    flashAttention: "auto";
  }): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  /** Evaluates the tokens, then yields a new one at each step, and evaluates it in the next. */
  evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncGenerator<number>;
}

await serve(async (setup) => {
  const { nCtx, nEmbd, nLayer } = setup.config;
  const model = await load(setup);
  const sequence = setup.kind === "generate" ? (await makeSequences(model, setup, 1))[0]! : undefined;
  let sequences: LlamaSequence[] | undefined;
  return {
    description: `${peerVersion("node-llama-cpp")} (${loadedCpuLibrary() ?? "CPU"})`,
    cacheBytes: 2 * 2 * nCtx * nEmbd * nLayer,
    generate: (task) => generate(sequence!, task),
    batch: async (task) => batch((sequences ??= await makeSequences(model, setup, task.prompts.length)), task),
  };
});

async function load({ file, threads }: Setup): Promise<LlamaModel> {
  const { getLlama } = (await importPeer("node-llama-cpp")) as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    maxThreads: threads,
    logLevel: "error",
  });
  return llama.loadModel({ modelPath: file!, gpuLayers: 0 });
}

/** llama.cpp's own defaults where it has any: keys and values in f16, flash attention if it helps. */
async function makeSequences(model: LlamaModel, setup: Setup, count: number): Promise<LlamaSequence[]> {
  const context = await model.createContext({
    // Several sequences share it; they are short.
    contextSize: count === 1 ? setup.config.nCtx : 256,
    batchSize: setup.config.nCtx,
    sequences: count,
    threads: { ideal: setup.threads, min: setup.threads },
    flashAttention: "auto",
  });
  return Array.from({ length: count }, () => context.getSequence());
}

async function generate(sequence: LlamaSequence, { prompt, count }: GenerateTask): Promise<GenerateResult> {
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
  return { ids, seconds };
}

/** It evaluates simultaneous requests together. A step ends with its slowest sequence. */
async function batch(sequences: readonly LlamaSequence[], { prompts, count }: BatchTask): Promise<BatchResult> {
  const start = performance.now();
  const ends: number[] = new Array<number>(count + 1).fill(0);
  const ids = await Promise.all(
    prompts.map(async (prompt, s) => {
      const { ids: own, seconds } = await generate(sequences[s]!, { kind: "generate", prompt, count });
      seconds.reduce((end, second, i) => {
        ends[i] = Math.max(ends[i]!, end + second);
        return end + second;
      }, 0);
      return own;
    }),
  );
  // `generate` starts its clock with an empty history; the total is measured from here.
  const whole = (performance.now() - start) / 1000;
  ends[count] = Math.max(ends[count]!, whole);
  return { ids, seconds: ends.map((end, i) => end - (i > 0 ? ends[i - 1]! : 0)) };
}

/** Which of the prebuilt CPU libraries (haswell, zen4, …) llama.cpp chose, as Linux reports it. */
function loadedCpuLibrary(): string | undefined {
  try {
    return /libggml-cpu[^/\s]*/.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
  } catch {
    return undefined;
  }
}
