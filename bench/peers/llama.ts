/** llama.cpp, through node-llama-cpp, as a contender (bench/protocol.ts) on the GGUF that python/make_gguf.py writes. */
import { readFileSync } from "node:fs";
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
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
    threads: { ideal: number; min: number };
    flashAttention: "auto";
  }): Promise<{ getSequence(): LlamaSequence }>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  /** Evaluates the tokens, then yields a new one at each step and evaluates it at the next. */
  evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncGenerator<number>;
}

await serve(async (setup) => {
  const sequence = await load(setup);
  const version = `${peerVersion("node-llama-cpp")} (${loadedCpuLibrary() ?? "CPU"})`;
  return { description: version, generate: (task) => generate(sequence, task) };
});

/** With llama.cpp's own defaults where it has any: keys and values in f16, flash attention if it helps. */
async function load({ file, threads, config }: Setup): Promise<LlamaSequence> {
  const { getLlama } = (await importPeer("node-llama-cpp")) as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    maxThreads: threads,
    logLevel: "error",
  });
  const model = await llama.loadModel({ modelPath: file!, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: config.nCtx,
    batchSize: config.nCtx,
    threads: { ideal: threads, min: threads },
    flashAttention: "auto",
  });
  return context.getSequence();
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

/** Which of the prebuilt's CPU libraries (haswell, zen4, …) llama.cpp chose: Linux tells. */
function loadedCpuLibrary(): string | undefined {
  try {
    return /libggml-cpu[^/\s]*/.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
  } catch {
    return undefined;
  }
}
