/** What is measured: each case a task that every contender gets, and how much of the machine it needs at least. */
import type { GPT2Config } from "../src/model/config.js";
import { numel, tensorTable } from "../src/model/tensors.js";
import { trainFlopsPerToken } from "../src/train/model-trainer.js";
import { seededTokens } from "../test/helpers/seeded-weights.js";
import type { LimitKind } from "./limits.js";
import {
  type GenerateResult,
  type Result,
  type Task,
  type TrainResult,
  WEIGHT_BITS,
  type WeightType,
} from "./protocol.js";
import { sum } from "./statistics.js";

/** Where a contender's kernels run: `native` may use all of the processor. */
export type Runtime = "native";

export interface Case {
  /** `decode-8-f32`; a group's name stands for all its cases. */
  readonly name: string;
  readonly group: "train" | "prefill" | "decode";
  readonly title: string;
  readonly type: WeightType;
  readonly runtime: Runtime;
  readonly task: Task;
  /** Tokens per second of one run. */
  tokensPerSecond(result: Result): number;
  /** The limit that it comes up against, and what one token takes of it: floating-point operations, or bytes. */
  readonly limit: { readonly kind: LimitKind; readonly perToken: number };
}

/** Streams of `seededTokens`; the first two are those of test/fixtures/gpt2-124m. */
const TRAIN_LABEL = 1002;
export const PROMPT_LABEL = 1005;
const LONG_PROMPT_LABEL = 2002;

const DECODED = 64;

/** What multiplies weights of each type fastest; few of a prompt's operations are others. */
const PRODUCTS: Record<WeightType, LimitKind> = { f32: "fma", f16: "fma", q8_0: "dot8", q4_0: "dot8" };

export function allCases(config: GPT2Config, seed: number): Case[] {
  const shortPrompt = seededTokens(config, seed, PROMPT_LABEL, 8);
  const longPrompt = seededTokens(config, seed, LONG_PROMPT_LABEL, 512);
  const types = Object.keys(WEIGHT_BITS) as WeightType[];
  return [
    trainCase(config, seed, 4, 256),
    trainCase(config, seed, 1, 1024),
    trainCase(config, seed, 1, 64), // as much as trainers in JavaScript can do
    ...types.flatMap((type) => [
      prefillCase(config, type, longPrompt),
      decodeCase(config, type, shortPrompt),
      decodeCase(config, type, longPrompt),
    ]),
  ];
}

/**
 * The cases named, and those of the groups named that we `canDo`: a case by its own name shows what the peers do, too.
 *
 * @throws {Error} a name that is neither a case's nor a group's; it lists those there are.
 */
export function chooseCases(cases: readonly Case[], names: readonly string[], canDo: (c: Case) => boolean): Case[] {
  for (const name of names) {
    if (cases.some((c) => c.name === name || c.group === name)) continue;
    const known = [...new Set(cases.flatMap(({ group }) => group)), ...cases.map((c) => c.name)];
    throw new Error(`no case ${name}; there are limits, ${known.join(", ")}`);
  }
  return cases.filter((c) => names.includes(c.name) || (names.includes(c.group) && canDo(c)));
}

/** In the order in which the keys come up. */
export function grouped(cases: readonly Case[], key: (c: Case) => string): Map<string, Case[]> {
  const groups = new Map<string, Case[]>();
  for (const c of cases) groups.set(key(c), [...(groups.get(key(c)) ?? []), c]);
  return groups;
}

function trainCase(config: GPT2Config, seed: number, B: number, T: number): Case {
  const ids = Array.from(seededTokens(config, seed, TRAIN_LABEL, B * (T + 1)));
  const rows = Array.from({ length: B }, (_, b) => ids.slice(b * (T + 1), (b + 1) * (T + 1)));
  return {
    name: `train-${B}x${T}-f32`,
    group: "train",
    title: `training step, B=${B} T=${T}, f32`,
    type: "f32",
    runtime: "native",
    task: { kind: "train", rows, steps: 1 },
    tokensPerSecond: (result) => (B * T) / sum((result as TrainResult).seconds),
    limit: { kind: "fma", perToken: trainFlopsPerToken(config, T) },
  };
}

function prefillCase(config: GPT2Config, type: WeightType, prompt: Int32Array): Case {
  const { nEmbd: C, nInner: F, nLayer: L, vocabSize: V } = config;
  const N = prompt.length;
  // Multiply-adds twice: each block's matrices and, for N (N + 1) / 2 pairs of query and key, scores and values; the
  // head once, for the last token.
  const flops = 2 * N * L * (4 * C * C + 2 * C * F) + 4 * C * L * ((N * (N + 1)) / 2) + 2 * V * C;
  return {
    name: `prefill-${N}-${type}`,
    group: "prefill",
    title: `prefill of ${N}, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt: Array.from(prompt), count: 0 },
    tokensPerSecond: (result) => N / (result as GenerateResult).seconds[0]!,
    limit: { kind: PRODUCTS[type], perToken: flops / N },
  };
}

function decodeCase(config: GPT2Config, type: WeightType, prompt: Int32Array): Case {
  const { nEmbd: C, nLayer: L } = config;
  // Every weight once, of the positions one row; keys and values (f32) of all tokens before, half of the new ones' too.
  const weights = weightBytes(config, type);
  const cache = 4 * 2 * C * L * (prompt.length + DECODED / 2);
  return {
    name: `decode-${prompt.length}-${type}`,
    group: "decode",
    title: `decode ${DECODED} after ${prompt.length}, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt: Array.from(prompt), count: DECODED },
    tokensPerSecond: (result) => DECODED / sum((result as GenerateResult).seconds.slice(1)),
    limit: { kind: "read", perToken: weights + cache },
  };
}

/** Of all weights that one token uses: matrices in their type, vectors in f32. */
function weightBytes(config: GPT2Config, type: WeightType): number {
  const table = tensorTable(config).filter(({ name }) => name !== "wpe.weight");
  const bits = table.map(({ shape }) => numel(shape) * (shape.length > 1 ? WEIGHT_BITS[type] : 32));
  return sum(bits) / 8 + 4 * config.nEmbd;
}
