import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { importPeer, isInstalled, peerVersion } from "../bench/peers/import-peer.js";
import { gpt2Config } from "../src/architectures/gpt2/config.js";
import { tensorTable } from "../src/architectures/registry.js";
import { WEIGHT_TYPES, type WeightType } from "../src/dtype/dtype.js";
import { GPT2 } from "../src/gpt2.js";
import { openCheckpoint, saveCheckpoint } from "../src/pretrained/node.js";
import { tokenizerOf } from "../src/pretrained/tokenizer.js";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";
import { packageFile } from "../src/util/package-root.js";
import { fillSeeded } from "../test/helpers/seeded-weights.js";

/**
 * Runs GGUF files written here in llama.cpp and compares tokens, logits and greedy continuations with this package's:
 * a small seeded model, the default model and a seeded one of 124M, each in every type. llama.cpp's results for the small
 * one become test/fixtures/gguf/llama-cpp.json. Not part of `npm test`: it needs node-llama-cpp.
 *
 *     npm install --prefix bench/peers --ignore-scripts --omit=optional
 *     node dist/scripts/check-gguf.js [--work FOLDER] [--small] [FILE.gguf ...]
 *
 * --small skips the 124M model, which takes 0.5 GB of disk and 1 GB of memory. Files, such as llama.cpp's own in types
 * that this package only reads, are run without conversion. Exits with 1 if something differs.
 */

/** The part of node-llama-cpp used here. */
interface LlamaModel {
  tokenize(text: string, specialTokens: boolean): readonly number[];
  createContext(options: {
    contextSize: number;
    batchSize: number;
    threads: { ideal: number; min: number };
  }): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncGenerator<number>;
  controlledEvaluate(
    input: readonly (readonly [number, { generateNext: { logits: true } }])[],
  ): Promise<readonly { readonly next: { readonly logits: ReadonlyMap<number, number> } }[]>;
}
interface NodeLlamaCpp {
  getLlama(options: {
    gpu: false;
    build: "never";
    skipDownload: true;
    maxThreads: number;
    logLevel: "error";
  }): Promise<{ loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<LlamaModel> }>;
}

const PROMPT = "Once upon a time there was a little girl, and";
const GREEDY = 24;
/** Maximum number of the prompt's tokens whose logits are compared. */
const POSITIONS = 12;

/**
 * Tolerated difference of the next-token distributions: mean Kullback-Leibler divergence in nats. llama.cpp rounds
 * activations to the type of f16 and bf16 weights, and keys and values to f16; this package doesn't. For quantized weights
 * both round activations to blocks of 8 bits, whose scale llama.cpp rounds to f16 as well.
 */
const MOST_DIVERGENCE: Readonly<Record<WeightType, number>> = {
  f32: 1e-5,
  f16: 1e-5,
  bf16: 1e-3,
  q8_0: 3e-3,
  q4_0: 3e-3,
};

/** For files in other types, whose activations llama.cpp rounds in another way, and this package does not round. */
const MOST_DIVERGENCE_OF_FILES = 1e-2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { work: { type: "string" }, small: { type: "boolean", default: false } },
});
if (!isInstalled("node-llama-cpp")) {
  console.error("node-llama-cpp is missing: npm install --prefix bench/peers --ignore-scripts --omit=optional");
  process.exit(2);
}
const work = values.work ?? mkdtempSync(join(tmpdir(), "gpt2-check-gguf-"));
mkdirSync(work, { recursive: true });
const { getLlama } = (await importPeer("node-llama-cpp")) as NodeLlamaCpp;
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, maxThreads: 1, logLevel: "error" });
let failures = 0;

function check(what: string, ok: boolean): void {
  if (!ok) failures++;
  if (!ok) console.log(`  DIFFERS: ${what}`);
}

/** A seeded model of 124M as an f32 GGUF file; one tensor at a time in memory. */
async function seededFile(path: string): Promise<string> {
  const config = gpt2Config("gpt2");
  function* tensors() {
    for (const [index, spec] of tensorTable(config).entries()) {
      const data = new Float32Array(spec.shape.reduce((n, d) => n * d, 1));
      fillSeeded(data, spec, index, 20190214);
      yield { name: spec.name, shape: spec.shape, data };
    }
  }
  if (!existsSync(path)) await saveCheckpoint(path, { config, tensors: tensors(), tokenizer: await gpt2Tokenizer() });
  return path;
}

interface Outcome {
  readonly prompt: readonly number[];
  readonly greedy: readonly number[];
}

/** Writes the model in a type, and runs the file. */
async function checkType(source: string, dtype: WeightType): Promise<Outcome> {
  const path = join(work, `check-${dtype}.gguf`);
  const checkpoint = await openCheckpoint(source);
  const { config, tensors } = checkpoint;
  const tokenizer = await tokenizerOf(checkpoint);
  await saveCheckpoint(path, { config, tensors: tensors.values(), tokenizer }, { dtype });
  checkpoint.close();
  const outcome = await checkFile(path, dtype, MOST_DIVERGENCE[dtype]);
  rmSync(path);
  return outcome;
}

/** Runs a file in both programs. */
async function checkFile(path: string, name: string, mostDivergence: number, dtype?: WeightType): Promise<Outcome> {
  await using model = await GPT2.load(path, { threads: 1, dtype });
  const { config } = model;
  const theirs = await runLlama(path, config.nCtx);
  const prompt = [...model.tokenizer!.encode(PROMPT)];
  check(`${name}: tokens of the prompt`, `${prompt}` === `${theirs.prompt}`);
  const { tokens: greedy } = await model.complete(prompt, {
    temperature: 0,
    maxNewTokens: GREEDY,
    stopAtEndOfText: false,
  });
  const logits = await model.logits(prompt.slice(0, theirs.logits.length));
  const { divergence, furthest } = compare(logits, theirs.logits, config.vocabSize);
  const same = (greedy as number[]).findIndex((id, i) => id !== theirs.greedy[i]);
  const gap =
    same === -1 ? 0 : await gapAt(model, [...prompt, ...greedy.slice(0, same)], greedy[same]!, theirs.greedy[same]!);
  console.log(
    `  ${name.padEnd(5)} divergence ${divergence.toExponential(1)}  largest logit difference ${furthest.toExponential(1)}  greedy tokens equal ${same === -1 ? "all" : `${same}, then ${gap.toExponential(1)} apart`}`,
  );
  check(`${name}: divergence above ${mostDivergence}`, divergence <= mostDivergence);
  check(`${name}: greedy ${greedy} and ${theirs.greedy}`, gap <= 2 * furthest);
  return { prompt, greedy: theirs.greedy };
}

/** The model's preference for one token over another; if it is tiny, the two programs may choose differently. */
async function gapAt(model: GPT2, ids: readonly number[], ours: number, theirs: number): Promise<number> {
  const V = model.config.vocabSize;
  const logits = (await model.logits(ids)).subarray(-V);
  return Math.abs(logits[ours]! - logits[theirs]!);
}

interface LlamaRun extends Outcome {
  /** Logits by position, then token. */
  readonly logits: readonly ReadonlyMap<number, number>[];
}

async function runLlama(path: string, nCtx: number): Promise<LlamaRun> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: nCtx, batchSize: nCtx, threads: { ideal: 1, min: 1 } });
  const sequence = context.getSequence();
  const prompt = [...model.tokenize(PROMPT, false)];
  const input = prompt.slice(0, POSITIONS).map((id) => [id, { generateNext: { logits: true } }] as const);
  const logits = (await sequence.controlledEvaluate(input)).map(({ next }) => next.logits);
  await sequence.clearHistory();
  const greedy: number[] = [];
  for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    greedy.push(id);
    if (greedy.length === GREEDY) break;
  }
  await context.dispose();
  await model.dispose();
  return { prompt, logits, greedy };
}

/** Mean divergence of llama.cpp's distributions from ours [T, V], and the largest difference of centred logits. */
function compare(ours: Float32Array, theirs: readonly ReadonlyMap<number, number>[], V: number) {
  let divergence = 0;
  let furthest = 0;
  for (const [position, map] of theirs.entries()) {
    const p = logSoftmax(Float64Array.from({ length: V }, (_, id) => map.get(id)!));
    const q = logSoftmax(Float64Array.from(ours.subarray(position * V, (position + 1) * V)));
    for (let id = 0; id < V; id++) {
      divergence += (Math.exp(p[id]!) * (p[id]! - q[id]!)) / theirs.length;
      furthest = Math.max(furthest, Math.abs(p[id]! - q[id]!));
    }
  }
  return { divergence: Math.max(0, divergence), furthest };
}

function logSoftmax(logits: Float64Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, x) => total + Math.exp(x - largest), 0);
  return logits.map((x) => x - largest - Math.log(sum));
}

/** Tokenizes texts in both programs; returns llama.cpp's ids. */
async function checkTokens(
  source: string,
  texts: readonly string[],
): Promise<{ text: string; ids: readonly number[] }[]> {
  const path = join(work, "check-tokens.gguf");
  const checkpoint = await openCheckpoint(source);
  const tokenizer = (await tokenizerOf(checkpoint))!;
  await saveCheckpoint(
    path,
    { config: checkpoint.config, tensors: checkpoint.tensors.values(), tokenizer },
    { dtype: "q4_0" },
  );
  checkpoint.close();
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const results = texts.map((text) => ({ text, ids: [...model.tokenize(text, false)] }));
  await model.dispose();
  rmSync(path);
  const different = results.filter(({ text, ids }) => `${ids}` !== `${[...tokenizer.encode(text)]}`);
  console.log(`  tokens of ${texts.length - different.length} of ${texts.length} texts equal`);
  for (const { text, ids } of different.slice(0, 5))
    check(`${JSON.stringify(text)}: ${tokenizer.encode(text)} and ${ids}`, false);
  return results;
}

const oracle = gunzipSync(readFileSync(packageFile("test/fixtures/tokenizer/gpt2-oracle.jsonl.gz"))).toString("utf8");
const texts = oracle
  .trimEnd()
  .split("\n")
  .map((line) => (JSON.parse(line) as { text: string }).text);
const fixture = packageFile("test/fixtures/gguf/converted-f32.gguf");

console.log(`llama.cpp of node-llama-cpp ${peerVersion("node-llama-cpp")}`);
const models: Record<string, string> = {
  "small seeded model": fixture,
  "default model": packageFile("models/default"),
};
if (!values.small) models["seeded model of 124M"] = await seededFile(join(work, "seeded-f32.gguf"));
const small: Record<string, Outcome> = {};
let smallTokens: { text: string; ids: readonly number[] }[] = [];
for (const [name, source] of Object.entries(models)) {
  console.log(name);
  const tokens = await checkTokens(source, texts);
  if (source === fixture) smallTokens = tokens.slice(0, 60);
  for (const dtype of WEIGHT_TYPES) {
    const outcome = await checkType(source, dtype);
    if (source === fixture) small[dtype] = outcome;
  }
}
for (const file of positionals) await checkFile(file, file, MOST_DIVERGENCE_OF_FILES, "f32");
const { prompt } = Object.values(small)[0]!;
const greedy = Object.fromEntries(Object.entries(small).map(([dtype, outcome]) => [dtype, outcome.greedy]));
const written = { "node-llama-cpp": peerVersion("node-llama-cpp"), text: PROMPT, prompt, greedy, tokens: smallTokens };
writeFileSync(packageFile("test/fixtures/gguf/llama-cpp.json"), `${JSON.stringify(written)}\n`);
if (values.work === undefined) rmSync(work, { recursive: true });
console.log(failures === 0 ? "everything agrees" : `${failures} things differ`);
process.exit(failures === 0 ? 0 : 1);
