/**
 * The WebAssembly backend against WebAssembly's limits: a matrix product, and decoding and prefill of a model of GPT-2's
 * 124M shape with random weights, in f32. The limits are measured before and after each run of each case; a case's share
 * is the median of its runs', with the two limits around it averaged.
 *
 *     node dist/bench/wasm.js [--threads 1,2] [--repeats 7] [--relaxed true,false]
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { GPT2_PRESETS, gpt2Config } from "../src/architectures/gpt2/config.js";
import { tensorTable } from "../src/architectures/registry.js";
import { numel } from "../src/architectures/tensor-spec.js";
import type { Backend, DeviceArray } from "../src/backend/backend.js";
import { wasmBackend } from "../src/backend/wasm/index.js";
import { Engine } from "../src/generate/engine.js";
import { Recorder } from "../src/program/program.js";
import { fillSeeded, seededTokens } from "../test/helpers/seeded-weights.js";
import { type WasmLimit, WasmLimits } from "./wasm-limits.js";

const CONFIG = gpt2Config(GPT2_PRESETS.gpt2);
const PROMPT = 512;
const DECODED = 24;

interface Case {
  readonly name: string;
  readonly limit: WasmLimit;
  /** The operations or bytes of one run. */
  readonly work: number;
  /** Tokens of one run, if it has any. */
  readonly tokens?: number;
  run(): Promise<unknown>;
}

async function matrixProduct(backend: Backend): Promise<Case> {
  const [N, IC, OC] = [PROMPT, CONFIG.nEmbd, CONFIG.nInner];
  const k = new Recorder("matrix product");
  const [x, weight, out] = [k.external("x", [N, IC]), k.external("weight", [OC, IC]), k.external("out", [N, OC])];
  k.op("linearForward", "product", { out, x, weight }, { N, IC, OC }, { act: "none" });
  const arrays = {
    x: backend.alloc("f32", N * IC),
    weight: backend.alloc("f32", OC * IC),
    out: backend.alloc("f32", N * OC),
  };
  for (const array of Object.values(arrays)) array.write(Float32Array.from({ length: array.length }, Math.random));
  const executable = await backend.prepare(k.build(), arrays);
  return {
    name: `matrix product ${N} x ${IC} x ${OC}`,
    limit: "fma",
    work: 4 * 2 * N * IC * OC,
    run: async () => {
      for (let i = 0; i < 4; i++) await executable.run();
    },
  };
}

function modelCases(backend: Backend): Case[] {
  const weights = new Map<string, DeviceArray>();
  for (const [index, spec] of tensorTable(CONFIG).entries()) {
    const values = new Float32Array(numel(spec.shape));
    fillSeeded(values, spec, index, 1);
    const array = backend.alloc("f32", values.length);
    array.write(values);
    weights.set(spec.name, array);
  }
  const engine = new Engine(backend, CONFIG, weights);
  const prompt = Array.from(seededTokens(CONFIG, 1, 1, PROMPT));
  const { nLayer: L, nEmbd: C, vocabSize: V } = CONFIG;
  const matrices = 12 * L * C * C;
  const decode = async (count: number, context: number): Promise<void> => {
    const sequence = engine.sequence();
    await engine.extend([{ sequence, tokens: prompt.slice(0, context) }], () => {});
    for (const token of prompt.slice(0, count)) await engine.extend([{ sequence, tokens: [token] }], () => {});
    sequence.release();
  };
  return [
    {
      name: `decode, ${DECODED} tokens after 1`,
      limit: "read",
      work: DECODED * 4 * (matrices + V * C),
      tokens: DECODED,
      run: () => decode(DECODED - 1, 1),
    },
    {
      name: `prefill, ${PROMPT} tokens`,
      limit: "fma",
      // Two per weight and token, and a causal attention's two products; logits for the last token only.
      work: PROMPT * 2 * matrices + 2 * L * C * PROMPT ** 2 + 2 * V * C,
      tokens: PROMPT,
      run: () => decode(0, PROMPT),
    },
  ];
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function measure(c: Case, limits: WasmLimits, repeats: number): Promise<string> {
  await c.run();
  const [seconds, bars, shares]: [number[], number[], number[]] = [[], [], []];
  let before = await limits.measure(c.limit);
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await c.run();
    seconds.push((performance.now() - start) / 1000);
    const after = await limits.measure(c.limit);
    const bar = (before + after) / 2;
    bars.push(bar);
    shares.push(c.work / seconds.at(-1)! / bar);
    before = after;
  }
  const giga = (x: number): string => (x / 1e9).toFixed(1);
  const percent = (x: number): string => `${(100 * x).toFixed(0)}%`;
  const unit = c.limit === "fma" ? "GFLOP/s" : "GB/s";
  const tokens = c.tokens ? `${(c.tokens / median(seconds)).toFixed(1)} tokens/s, ` : "";
  const range = `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`;
  return `${c.name}: ${tokens}${giga(c.work / median(seconds))} of ${giga(median(bars))} ${unit}, ${percent(median(shares))} (${range})`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      threads: { type: "string", default: "1,2" },
      repeats: { type: "string", default: "7" },
      relaxed: { type: "string", default: "true,false" },
    },
  });
  console.log(`${cpus()[0]?.model}, node ${process.versions.node}, load ${loadavg()[0]!.toFixed(1)} at the start`);
  for (const relaxed of values.relaxed.split(",").map((word) => word === "true")) {
    for (const threads of values.threads.split(",").map(Number)) {
      const backend = await wasmBackend({ threads, relaxed });
      const limits = new WasmLimits(threads, relaxed);
      console.log(backend.description);
      for (const c of [await matrixProduct(backend), ...modelCases(backend)]) {
        console.log(`  ${await measure(c, limits, Number(values.repeats))}`);
      }
      await limits.close();
    }
  }
  console.log(`load ${loadavg()[0]!.toFixed(1)} at the end`);
}

await main();
