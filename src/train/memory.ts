import { totalmem } from "node:os";
import type { ModelConfig } from "../architectures/config.js";
import type { ParamTypes } from "../architectures/declare.js";
import { optimizerLayout, optimizerProgram } from "../architectures/optimizer.js";
import { lossProgram, trainProgram } from "../architectures/programs.js";
import { tensorTable } from "../architectures/registry.js";
import type { TaskHead } from "../architectures/task-head.js";
import { numel } from "../architectures/tensor-spec.js";
import { byteLength, type DType } from "../dtype/dtype.js";
import { OutOfMemoryError } from "../errors.js";
import { planMemory } from "../program/plan.js";
import { type LoraPlan, type LoraSettings, loraPlan } from "./lora-settings.js";
import type { TrainSettings } from "./settings.js";
import { samplerMemory } from "./text-sampler.js";
import { trainedTable, trainOptions } from "./trained-table.js";

/** The memory of a training run in bytes, computed before anything is allocated. */
export interface TrainMemory {
  /** Frozen weights: those of the base model of an adapter. */
  readonly frozen: number;
  /** Trained parameters. */
  readonly parameters: number;
  readonly gradients: number;
  /** The optimizer's state, and the temporary memory of its step. */
  readonly optimizer: number;
  /** Activations of one pass, with temporary memory of its backward pass. */
  readonly activations: number;
  /** Activations of a validation pass. */
  readonly validation: number;
  /** Engine for samples. */
  readonly samples: number;
  readonly total: number;
}

export interface MemoryOptions {
  /** Memory limit in bytes. Default: the machine's free memory. */
  readonly limit?: number | undefined;
  /** The adapter to train. Without one, the whole model is trained. */
  readonly lora?: LoraSettings | undefined;
  /** With an adapter: storage dtypes of the model's weights. Default f32. */
  readonly types?: ParamTypes | undefined;
  /** Task head in place of the output head. */
  readonly head?: TaskHead | undefined;
}

/** @throws {OutOfMemoryError} the plan does not fit. */
export function trainMemory(config: ModelConfig, settings: TrainSettings, options: MemoryOptions = {}): TrainMemory {
  const { limit = availableMemory(), lora, types, head } = options;
  const { batchSize: B, seqLength: T, valEvery, sampleEvery } = settings;
  const floor = smallestPlan(config, settings, lora);
  if (floor > Math.max(limit, ABSURD)) throw tooLittle(limit, `a plan of more than ${formatMemory(floor)}`);
  const plan = lora && loraPlan(config, lora);
  const program = trainOptions(settings, lora, plan, types, head);
  const layout = optimizerLayout(trainedTable(config, plan, head), settings.optimizer);
  const parameters = 4 * layout.size;
  const optimizer = parameters + 4 * layout.secondSize + planMemory(optimizerProgram(layout, settings)).bytes;
  const frozen = plan ? frozenBytes(config, plan, types) : 0;
  const activations = planMemory(trainProgram(config, B * T, program)).bytes;
  const loss = { types: program.types, ranks: plan?.ranks, head, seqLength: T };
  const validation = valEvery > 0 ? planMemory(lossProgram(config, B * T, loss)).bytes : 0;
  const samples = sampleEvery > 0 ? samplerMemory(config, loss) : 0;
  const total = frozen + 2 * parameters + optimizer + activations + validation + samples;
  const memory = {
    frozen,
    parameters,
    gradients: parameters,
    optimizer,
    activations,
    validation,
    samples,
    total,
  };
  if (total > limit)
    throw tooLittle(limit, `a plan of ${formatMemory(total)} (${memoryParts(memory)})`, settings, lora);
  return memory;
}

function frozenBytes(config: ModelConfig, { extras }: LoraPlan, types?: ParamTypes): number {
  const dtypeOf = (name: string): DType => types?.get(name) ?? "f32";
  const frozen = tensorTable(config).filter(({ name }) => !extras.has(name));
  return frozen.reduce((sum, { name, shape }) => sum + byteLength(dtypeOf(name), numel(shape)), 0);
}

/** 256 GiB: recording Programs of such sizes would take forever. */
const ABSURD = 2 ** 38;

/**
 * A lower bound that needs no Program: three copies of the parameters (AdamW has four), and for each layer and token the
 * activations that the backward pass reads (two layer norms, qkv, attention's output, two residual streams: 8 C; both sides of
 * GELU: 2 F). With an adapter, one copy of half a byte each; with recomputation, one residual stream.
 */
function smallestPlan(config: ModelConfig, settings: TrainSettings, lora: LoraSettings | undefined): number {
  const { vocabSize: V, nCtx, nEmbd: C, nInner: F, nLayer: L } = config;
  const { batchSize, seqLength, recompute } = settings;
  const parameters = (V + nCtx) * C + L * (4 * C + 2 * F) * C;
  const kept = recompute === 1 ? C : 8 * C + 2 * F;
  return (lora ? 0.5 : 12) * parameters + 4 * batchSize * seqLength * L * kept;
}

function tooLittle(limit: number, got: string, settings?: TrainSettings, lora?: LoraSettings): OutOfMemoryError {
  const more = [
    settings?.recompute === 0 && "recompute activations",
    settings && (lora ? "hold the frozen weights in a smaller type" : "train an adapter (LoRA) only"),
  ].filter((hint) => typeof hint === "string");
  const hint =
    "Lower the batch size (with the same number of tokens per step the result is the same), the sequence length or the model's size";
  return new OutOfMemoryError({
    op: "training",
    expected: `at most ${formatMemory(limit)}, the memory available`,
    got,
    hint: more.length === 0 ? hint : `${hint}; or ${more.join(", or ")}`,
  });
}

/** Memory available to this process: free memory, up to the limit of its container. */
export function availableMemory(): number {
  const { availableMemory } = process as { availableMemory?: () => number };
  const available = availableMemory?.() ?? totalmem();
  return available > 0 ? available : totalmem();
}

/** Formats memory in binary units. */
export function formatMemory(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** Parts of the plan, in words. */
export function memoryParts(memory: TrainMemory): string {
  const { frozen, parameters, gradients, optimizer, activations, validation, samples } = memory;
  const parts = [
    ["frozen weights", frozen],
    [
      frozen > 0 ? "adapter, its gradients and optimizer" : "parameters, gradients and optimizer",
      parameters + gradients + optimizer,
    ],
    ["activations", activations],
    ["validation", validation],
    ["samples", samples],
  ] as const;
  return parts.flatMap(([name, bytes]) => (bytes > 0 ? [`${name} ${formatMemory(bytes)}`] : [])).join(", ");
}
