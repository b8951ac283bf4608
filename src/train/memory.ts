import { totalmem } from "node:os";
import { OutOfMemoryError } from "../errors.js";
import type { GPT2Config } from "../model/config.js";
import { flatLayout } from "../model/flat.js";
import { lossProgram, trainProgram } from "../model/programs.js";
import { planMemory } from "../program/plan.js";
import type { TrainSettings } from "./settings.js";
import { samplerMemory } from "./text-sampler.js";

/** Bytes a training run needs, known before anything is allocated. */
export interface TrainMemory {
  readonly parameters: number;
  readonly gradients: number;
  /** AdamW's two moments. */
  readonly optimizer: number;
  /** Activations of one pass, with the scratch of its backward. */
  readonly activations: number;
  /** Activations of a validation pass. */
  readonly validation: number;
  /** What writing samples takes. */
  readonly samples: number;
  readonly total: number;
}

export interface MemoryOptions {
  /** Bytes it may take; by default what the machine has free. */
  readonly limit?: number | undefined;
}

/** @throws {OutOfMemoryError} the plan does not fit. */
export function trainMemory(config: GPT2Config, settings: TrainSettings, options: MemoryOptions = {}): TrainMemory {
  const { limit = availableMemory() } = options;
  const { batchSize: B, seqLength: T, dropout, valEvery, sampleEvery } = settings;
  const floor = smallestPlan(config, B * T);
  if (floor > Math.max(limit, ABSURD)) throw tooLittle(limit, `a plan of more than ${formatMemory(floor)}`);
  const parameters = 4 * flatLayout(config).size;
  const activations = planMemory(trainProgram(config, B * T, dropout)).bytes;
  const validation = valEvery > 0 ? planMemory(lossProgram(config, B * T)).bytes : 0;
  const samples = sampleEvery > 0 ? samplerMemory(config) : 0;
  const total = 4 * parameters + activations + validation + samples;
  const plan = {
    parameters,
    gradients: parameters,
    optimizer: 2 * parameters,
    activations,
    validation,
    samples,
    total,
  };
  if (total > limit) throw tooLittle(limit, `a plan of ${formatMemory(total)} (${memoryParts(plan)})`);
  return plan;
}

/** 256 GiB: Programs of such sizes would take for ever to record. */
const ABSURD = 2 ** 38;

/**
 * A lower bound that needs no Program: four copies of the parameters, and of each layer and token what its backward pass
 * reads (two layer norms, qkv, attention's output, two residual streams: 8 C; both sides of GELU: 2 F).
 */
function smallestPlan({ vocabSize: V, nCtx, nEmbd: C, nInner: F, nLayer: L }: GPT2Config, N: number): number {
  return 16 * ((V + nCtx) * C + L * (4 * C + 2 * F) * C) + 4 * N * L * (8 * C + 2 * F);
}

function tooLittle(limit: number, got: string): OutOfMemoryError {
  return new OutOfMemoryError({
    op: "training",
    expected: `at most ${formatMemory(limit)}, the memory available`,
    got,
    hint: "Lower the batch size (with the tokens of a step unchanged the result is the same), the sequence length or the model's size",
  });
}

/** Memory this process may use: what the machine has free, within the limit its container sets. */
export function availableMemory(): number {
  const { availableMemory } = process as { availableMemory?: () => number };
  const available = availableMemory?.() ?? totalmem();
  return available > 0 ? available : totalmem();
}

/** Memory is sold in binary units. */
export function formatMemory(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** The plan's parts, for people. */
export function memoryParts({ parameters, activations, validation, samples }: TrainMemory): string {
  const parts = [
    ["parameters, gradients and optimizer", 4 * parameters],
    ["activations", activations],
    ["validation", validation],
    ["samples", samples],
  ] as const;
  return parts.flatMap(([name, bytes]) => (bytes > 0 ? [`${name} ${formatMemory(bytes)}`] : [])).join(", ");
}
