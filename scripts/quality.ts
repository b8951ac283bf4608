import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import type { ModelConfig } from "../src/architectures/config.js";
import type { ComputeOptions } from "../src/architectures/decode-program.js";
import { GPT2_PRESETS, gpt2Config } from "../src/architectures/gpt2/config.js";
import { initialTensors } from "../src/architectures/init.js";
import { tensorTable } from "../src/architectures/registry.js";
import { chooseBackend } from "../src/backend/choose.js";
import { memorySource } from "../src/checkpoint/byte-source.js";
import { type StoredTensor, storedTensor } from "../src/checkpoint/stored-tensor.js";
import { WEIGHT_TYPES, type WeightType } from "../src/dtype/dtype.js";
import { Engine, type LogitsRow } from "../src/generate/engine.js";
import { logSumExp } from "../src/generate/log-sum-exp.js";
import { defaultModelFolder } from "../src/pretrained/load.js";
import { openCheckpoint } from "../src/pretrained/node.js";
import { tokenizerOf } from "../src/pretrained/tokenizer.js";
import { loadWeights } from "../src/pretrained/weights.js";
import { gpt2Tokenizer, type Tokenizer } from "../src/tokenizer/index.js";
import { packageFile } from "../src/util/package-root.js";

/**
 * Measures the quality that a model loses when its weights are held in fewer bits: for each type the divergence of its next-token
 * distributions from those in f32, and the change in bits per byte, on a held-out text. Prints the tables of
 * docs/quantization.md.
 *
 *     node dist/scripts/quality.js [--model FOLDER] [--text FILE] [--tokens N] [--seed N]
 *
 * Without --model, the package's own model and a 124M one of random weights. The text is The Wind in the Willows, held
 * out from the training of the package's model. Types are measured together: the 124M model takes 3 GB.
 */
const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    text: { type: "string", default: packageFile("test/fixtures/tokenizer/wind-in-the-willows.txt.gz") },
    tokens: { type: "string", default: "8192" },
    seed: { type: "string", default: "1" },
  },
});

interface Model {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly tensors: Iterable<StoredTensor>;
}

/** A dtype of weights, and of the computation. */
interface Variant extends ComputeOptions {
  readonly name: string;
  readonly type: WeightType;
}

/** Each storage dtype by itself; then keys and values in f16, and products in bf16. */
const VARIANTS: readonly Variant[] = [
  ...WEIGHT_TYPES.map((type) => ({ name: type, type, kv: "f32" as const, compute: "f32" as const })),
  ...WEIGHT_TYPES.map((type) => ({ name: `${type}, kv f16`, type, kv: "f16" as const, compute: "f32" as const })),
  ...WEIGHT_TYPES.map((type) => {
    return { name: `${type}, compute bf16`, type, kv: "f32" as const, compute: "bf16" as const };
  }),
];

/** Results of one variant, summed over the tokens. */
interface Tally {
  readonly variant: Variant;
  readonly bytes: number;
  readonly divergences: number[];
  nats: number;
  sameChoice: number;
}

/** Tokens whose logits are compared at a time. */
const CHUNK = 128;

async function savedModel(path: string, name = path): Promise<Model> {
  const checkpoint = await openCheckpoint(path);
  const tokenizer = await tokenizerOf(checkpoint);
  if (!tokenizer) throw new Error(`${path} has no tokenizer`);
  return { name, config: checkpoint.config, tokenizer, tensors: [...checkpoint.tensors.values()] };
}

async function randomModel(seed: number): Promise<Model> {
  const config = gpt2Config(GPT2_PRESETS.gpt2);
  const shapes = new Map(tensorTable(config).map(({ name, shape }) => [name, shape]));
  const tensors = Array.from(initialTensors(config, { seed }), ([name, values]) => {
    const source = memorySource(name, new Uint8Array(values.buffer));
    return storedTensor({ name, dtype: "f32", shape: shapes.get(name)!, storedAs: "out_in", source, offset: 0 });
  });
  return { name: `124M, random weights, seed ${seed}`, config, tokenizer: await gpt2Tokenizer(), tensors };
}

async function engineOf({ config, tensors }: Model, variant: Variant): Promise<{ engine: Engine; bytes: number }> {
  const { backend } = await chooseBackend();
  const weights = await loadWeights(backend, config, tensors, { dtype: variant.type });
  const bytes = [...weights.values()].reduce((sum, { host }) => sum + (host?.byteLength ?? 0), 0);
  return { engine: new Engine(backend, config, weights, variant), bytes };
}

/** The logits that follow each of the ids, [ids, V]. */
async function allLogits(engine: Engine, sequence: ReturnType<Engine["sequence"]>, ids: number[]) {
  const V = engine.config.vocabSize;
  const logits = new Float32Array(ids.length * V);
  await engine.extend([{ sequence, tokens: ids, logits: ids.length }], (row, _, m) => logits.set(row, m * V));
  return logits;
}

/** KL(p ‖ q) in nats, and whether the likeliest token is the same. */
function compare(p: LogitsRow, q: LogitsRow): { divergence: number; same: boolean } {
  const [lp, lq] = [logSumExp(p), logSumExp(q)];
  let divergence = 0;
  let [bestP, bestQ] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - lp;
    divergence += Math.exp(logP) * (logP - (q[i]! - lq));
    if (p[i]! > p[bestP]!) bestP = i;
    if (q[i]! > q[bestQ]!) bestQ = i;
  }
  return { divergence, same: bestP === bestQ };
}

/** Runs all types over the text, window by window, and compares each with the first, f32. */
async function measure(model: Model, ids: Uint32Array): Promise<Tally[]> {
  const { nCtx, vocabSize: V } = model.config;
  const engines: Engine[] = [];
  const tallies: Tally[] = [];
  for (const variant of VARIANTS) {
    const { engine, bytes } = await engineOf(model, variant);
    engines.push(engine);
    tallies.push({ variant, bytes, divergences: [], nats: 0, sameChoice: 0 });
  }
  for (let start = 0; start + 1 < ids.length; start += nCtx) {
    const sequences = engines.map((engine) => engine.sequence());
    const end = Math.min(start + nCtx, ids.length - 1);
    for (let from = start; from < end; from += CHUNK) {
      const tokens = Array.from(ids.subarray(from, Math.min(from + CHUNK, end)));
      const exact = await allLogits(engines[0]!, sequences[0]!, tokens);
      for (const [e, tally] of tallies.entries()) {
        const logits = e === 0 ? exact : await allLogits(engines[e]!, sequences[e]!, tokens);
        for (let m = 0; m < tokens.length; m++) {
          const row = logits.subarray(m * V, (m + 1) * V);
          const { divergence, same } = compare(exact.subarray(m * V, (m + 1) * V), row);
          tally.divergences.push(divergence);
          tally.sameChoice += same ? 1 : 0;
          tally.nats += logSumExp(row) - row[ids[from + m + 1]!]!;
        }
      }
    }
    for (const sequence of sequences) sequence.release();
    process.stderr.write(`\r${model.name}: ${end} of ${ids.length - 1} tokens`);
  }
  process.stderr.write("\n");
  return tallies;
}

function table(tallies: readonly Tally[], bytes: number): string {
  const [exact] = tallies;
  const bits = (tally: Tally): number => tally.nats / Math.LN2 / bytes;
  const rows = tallies.map((tally) => {
    const { variant, divergences, sameChoice } = tally;
    const sorted = Float64Array.from(divergences).sort();
    const mean = sorted.reduce((sum, x) => sum + x, 0) / sorted.length;
    const high = sorted[Math.floor(0.99 * (sorted.length - 1))]!;
    const change = 100 * (bits(tally) / bits(exact!) - 1);
    // Drops the sign of a zero.
    const percent = `${change > 0 ? "+" : ""}${change.toFixed(3)}`.replace(/^[+-](?=0\.000$)/, "");
    const cells = [
      variant.name,
      `${(tally.bytes / 1e6).toFixed(1)} MB`,
      tally === exact ? "" : mean === 0 ? "0" : mean.toExponential(1),
      tally === exact ? "" : high === 0 ? "0" : high.toExponential(1),
      `${((100 * sameChoice) / sorted.length).toFixed(2)}%`,
      bits(tally).toFixed(5),
      tally === exact ? "" : `${percent.replace("-", "−")}%`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = ["variant", "weights", "KL, mean", "KL, 99th percentile", "same likeliest token", "bits/byte", "change"];
  return [`| ${head.join(" | ")} |`, `|${head.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`, ...rows].join(
    "\n",
  );
}

function readText(path: string): Uint8Array {
  const bytes = readFileSync(path);
  return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

const own = () => savedModel(defaultModelFolder(), "the package's own model");
const makers = flags.model ? [() => savedModel(flags.model!)] : [own, () => randomModel(Number(flags.seed))];
for (const make of makers) {
  const model = await make();
  const ids = model.tokenizer.encodeBytes(readText(flags.text)).subarray(0, Number(flags.tokens) + 1);
  const bytes = model.tokenizer.decodeBytes(ids.subarray(1)).length;
  const tallies = await measure(model, ids);
  console.log(
    `\n${model.name}, ${(ids.length - 1).toLocaleString("en")} tokens, ${bytes.toLocaleString("en")} bytes\n`,
  );
  console.log(table(tallies, bytes));
}
