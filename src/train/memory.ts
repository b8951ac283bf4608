import { totalmem } from "node:os";
import { OutOfMemoryError } from "../errors.js";
import type { GPT2Config } from "../model/config.js";
import { flatLayout } from "../model/flat.js";
import { lossProgram, trainProgram } from "../model/programs.js";
import { planMemory } from "../program/plan.js";
import type { TrainSettings } from "./settings.js";

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
  readonly total: number;
}

export function trainMemory(config: GPT2Config, settings: TrainSettings): TrainMemory {
  const parameters = 4 * flatLayout(config).size;
  const N = settings.batchSize * settings.seqLength;
  const activations = planMemory(trainProgram(config, N, settings.dropout)).bytes;
  const validation = settings.valEvery > 0 ? planMemory(lossProgram(config, N)).bytes : 0;
  const total = 4 * parameters + activations + validation;
  return { parameters, gradients: parameters, optimizer: 2 * parameters, activations, validation, total };
}

/** Memory this process may use: what the machine has free, within the limit its container sets. */
export function availableMemory(): number {
  const limits = process as { availableMemory?: () => number; constrainedMemory?: () => number | undefined };
  const available = limits.availableMemory?.() ?? totalmem();
  return available > 0 ? available : totalmem();
}

export const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** @throws {OutOfMemoryError} the plan needs more than `limit` bytes. */
export function checkMemory(plan: TrainMemory, limit = availableMemory()): void {
  if (plan.total <= limit) return;
  throw new OutOfMemoryError({
    op: "training",
    expected: `at most ${gigabytes(limit)}, the memory available`,
    got: `a plan of ${gigabytes(plan.total)} (parameters, gradients and optimizer ${gigabytes(4 * plan.parameters)}, activations ${gigabytes(plan.activations)}, validation ${gigabytes(plan.validation)})`,
    hint: "Lower --batch-size (with --batch-tokens unchanged the result is the same), --seq-length or the model's size",
  });
}
