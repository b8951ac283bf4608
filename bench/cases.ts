/** The cases measured: each is a task for every contender, with the least that it needs of the machine. */
import type { GPT2Config } from "../src/architectures/gpt2/config.js";
import { trainFlopsPerToken } from "../src/train/flops.js";
import { seededTokens } from "../test/helpers/seeded-weights.js";
import type { LimitKind } from "./limits.js";
import { prefillFlops, stepBytes } from "./needs.js";
import {
  type BatchResult,
  type GenerateResult,
  type Outcome,
  type Task,
  type TrainResult,
  WEIGHT_BITS,
  type WeightType,
} from "./protocol.js";
import { sum } from "./statistics.js";

/** Where a contender's kernels run: `native` may use the whole processor, `wasm` the part that WebAssembly exposes. */
export type Runtime = "native" | "wasm";

/** For `tokens/s` more is better, for the other units less. */
export type Unit = "tokens/s" | "ms" | "MB";

export const GROUPS = ["train", "prefill", "decode", "batch", "wasm", "start", "memory"] as const;
export type Group = (typeof GROUPS)[number];

export interface Case {
  /** `decode-8-f32`; a group's name stands for all its cases. */
  readonly name: string;
  readonly group: Group;
  readonly title: string;
  readonly type: WeightType;
  readonly runtime: Runtime;
  readonly task: Task;
  /** Starts a new process for every run. */
  readonly fresh?: true;
  readonly unit: Unit;
  /** The result in {@link unit}; undefined where it can't be known. */
  figure(outcome: Outcome): number | undefined;
  /**
   * The limit that bounds the case, and the operations or bytes that one token costs. Without the cost, the limit only
   * shows whether something else was running.
   */
  readonly limit: { readonly kind: LimitKind; readonly perToken?: number };
}

/** Streams of `seededTokens`; the first two are those of test/fixtures/gpt2-124m. */
const TRAIN_LABEL = 1002;
export const PROMPT_LABEL = 1005;
const LONG_PROMPT_LABEL = 2002;
/** The token streams after those. */
const BATCH_LABEL = 3000;

const DECODED = 64;
const SEQUENCES = 8;

/** The fastest multiplication of weights of each type, which covers nearly all operations of a prompt. */
const PRODUCTS: Record<WeightType, LimitKind> = { f32: "fma", f16: "fma", bf16: "bf16", q8_0: "dot8", q4_0: "dot8" };

export function allCases(config: GPT2Config, seed: number): Case[] {
  const tokens = (label: number, count: number) => Array.from(seededTokens(config, seed, label, count));
  const short = tokens(PROMPT_LABEL, 8);
  const long = tokens(LONG_PROMPT_LABEL, 1024);
  const prompts = [short, ...Array.from({ length: SEQUENCES - 1 }, (_, i) => tokens(BATCH_LABEL + i, short.length))];
  const types = Object.keys(WEIGHT_BITS) as WeightType[];
  return [
    trainCase(config, seed, 4, 256),
    trainCase(config, seed, 1, 1024),
    trainCase(config, seed, 4, 256, "bf16"),
    trainCase(config, seed, 1, 1024, "bf16"),
    trainCase(config, seed, 1, 64), // the most that trainers in JavaScript manage
    ...types.flatMap((type) => [
      prefillCase(config, type, long.slice(0, 512)),
      ...(type === "f32" || type === "q8_0" ? [prefillCase(config, type, long.slice(0, 1000))] : []),
      decodeCase(config, type, short),
      decodeCase(config, type, long.slice(0, 512)),
    ]),
    batchCase(config, "f32", prompts),
    batchCase(config, "q8_0", prompts),
    ...(["f32", "q8_0"] as const).flatMap((type) => [
      inWasm(prefillCase(config, type, long.slice(0, 512)), "wasm-fma"),
      inWasm(decodeCase(config, type, short), "wasm-read"),
    ]),
    startCase("q8_0", short),
    memoryCase("q8_0", long.slice(0, config.nCtx - DECODED)),
  ];
}

/**
 * The named cases, and the cases of the named groups that this package `canDo`: a case given by its own name is run for
 * the peers even if this package can't do it.
 *
 * @throws {Error} a name is neither a case's nor a group's; the message lists them.
 */
export function chooseCases(cases: readonly Case[], names: readonly string[], canDo: (c: Case) => boolean): Case[] {
  for (const name of names) {
    if (cases.some((c) => c.name === name || c.group === name)) continue;
    const known = [...new Set(cases.flatMap(({ group }) => group)), ...cases.map((c) => c.name)];
    throw new Error(`no case ${name}; there are limits, ${known.join(", ")}`);
  }
  return cases.filter((c) => names.includes(c.name) || (names.includes(c.group) && canDo(c)));
}

/** Cases by key, in the order of first occurrence. */
export function grouped(cases: readonly Case[], key: (c: Case) => string): Map<string, Case[]> {
  const groups = new Map<string, Case[]>();
  for (const c of cases) groups.set(key(c), [...(groups.get(key(c)) ?? []), c]);
  return groups;
}

/** The number of tokens of each run, divided by the seconds that count. */
const rate = (tokens: number, seconds: (outcome: Outcome) => number) => (outcome: Outcome) => tokens / seconds(outcome);
const firstSecond = ({ result }: Outcome): number => (result as GenerateResult).seconds[0]!;
const laterSeconds = ({ result }: Outcome): number => sum((result as GenerateResult | BatchResult).seconds.slice(1));

/** @param type dtype of the products; weights and optimizer are f32 */
function trainCase(config: GPT2Config, seed: number, B: number, T: number, type: "f32" | "bf16" = "f32"): Case {
  const ids = Array.from(seededTokens(config, seed, TRAIN_LABEL, B * (T + 1)));
  const rows = Array.from({ length: B }, (_, b) => ids.slice(b * (T + 1), (b + 1) * (T + 1)));
  return {
    name: `train-${B}x${T}-${type}`,
    group: "train",
    title: `training step, B=${B} T=${T}, ${type}`,
    type,
    runtime: "native",
    task: { kind: "train", rows, steps: 1 },
    unit: "tokens/s",
    figure: rate(B * T, ({ result }) => sum((result as TrainResult).seconds)),
    limit: { kind: PRODUCTS[type], perToken: trainFlopsPerToken(config, T) },
  };
}

function prefillCase(config: GPT2Config, type: WeightType, prompt: readonly number[]): Case {
  const N = prompt.length;
  return {
    name: `prefill-${N}-${type}`,
    group: "prefill",
    title: `prefill of ${N}, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt, count: 0 },
    unit: "tokens/s",
    figure: rate(N, firstSecond),
    limit: { kind: PRODUCTS[type], perToken: prefillFlops(config, N) / N },
  };
}

function decodeCase(config: GPT2Config, type: WeightType, prompt: readonly number[]): Case {
  return {
    name: `decode-${prompt.length}-${type}`,
    group: "decode",
    title: `decode ${DECODED} after ${prompt.length}, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt, count: DECODED },
    unit: "tokens/s",
    figure: rate(DECODED, laterSeconds),
    // On average, half of the new tokens are in the cache.
    limit: { kind: "read", perToken: stepBytes(config, type, prompt.length + DECODED / 2) },
  };
}

/** The tokens of all sequences; each step computes one for each. */
function batchCase(config: GPT2Config, type: WeightType, prompts: readonly (readonly number[])[]): Case {
  const S = prompts.length;
  return {
    name: `batch-${S}-${type}`,
    group: "batch",
    title: `decode ${DECODED} of ${S} sequences at once, ${type}, total`,
    type,
    runtime: "native",
    task: { kind: "batch", prompts, count: DECODED },
    unit: "tokens/s",
    figure: rate(S * DECODED, laterSeconds),
    limit: { kind: "read", perToken: stepBytes(config, type, prompts[0]!.length + DECODED / 2, S) / S },
  };
}

function inWasm(c: Case, kind: LimitKind): Case {
  const title = `${c.title}, WebAssembly`;
  return { ...c, name: `wasm-${c.name}`, group: "wasm", title, runtime: "wasm", limit: { ...c.limit, kind } };
}

function startCase(type: WeightType, prompt: readonly number[]): Case {
  return {
    name: `start-${type}`,
    group: "start",
    title: `process start to first token, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt, count: 0 },
    fresh: true,
    unit: "ms",
    figure: ({ secondsSinceStart }) => 1000 * secondsSinceStart,
    limit: { kind: "fma" },
  };
}

/** Prompt and continuation fill the context, so the whole cache is in memory and its size can be subtracted. */
function memoryCase(type: WeightType, prompt: readonly number[]): Case {
  return {
    name: `memory-${type}`,
    group: "memory",
    title: `memory of its own, context full, ${type}`,
    type,
    runtime: "native",
    task: { kind: "generate", prompt, count: DECODED },
    unit: "MB",
    figure: ({ ownBytes }) => ownBytes && ownBytes / 1e6,
    limit: { kind: "read" },
  };
}
