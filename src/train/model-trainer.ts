import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import type { GPT2Config } from "../model/config.js";
import { type FlatLayout, flatLayout } from "../model/flat.js";
import {
  gradBuffer,
  lossProgram,
  optimizerProgram,
  paramBuffer,
  trainProgram,
  zeroGradProgram,
} from "../model/programs.js";
import { tensorTable } from "../model/tensors.js";
import { deriveKey } from "../util/random.js";
import { accumulation, learningRate, type TrainSettings } from "./settings.js";

/** Fills tokens and targets, [B, T] each, with pass number `pass`; returns how many tokens, the first ones, are filled. */
export type FillBatch = (pass: number, tokens: Int32Array, targets: Int32Array) => number;

export interface StepResult {
  /** Mean loss over the step's tokens, in nats. */
  readonly loss: number;
  /** Global norm of the gradients, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
}

export interface StepOptions {
  /** Looked at between passes: an aborted step leaves parameters and optimizer as they were before it. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each pass with the passes done. */
  readonly onPass?: ((passes: number) => void) | undefined;
}

const DROPOUT_LABEL = 0x64726f70;

/**
 * A model with its gradients and optimizer state on a backend, and the Programs of one training step. It knows batches
 * and steps; data, files and clocks are the Trainer's. A step is `zeroGradients`, `accumulate` for each pass, `update`:
 * gradients may be changed in between, as by adding up those of several machines.
 */
export class ModelTrainer {
  readonly config: GPT2Config;
  readonly settings: TrainSettings;
  readonly backend: Backend;
  /** Of params, grads, m and v. */
  readonly layout: FlatLayout;
  readonly params: DeviceArray;
  readonly grads: DeviceArray;
  /** AdamW's moments. */
  readonly m: DeviceArray;
  readonly v: DeviceArray;
  /** Each tensor's part of `params`, by name, in the table's order; [out, in] for matrices. */
  readonly weights: ReadonlyMap<string, DeviceArray>;
  readonly #norm: DeviceArray;
  readonly #losses: DeviceArray;
  readonly #batch: Record<"tokens" | "targets", DeviceArray>;
  readonly #bindings: Record<string, DeviceArray>;
  readonly #train: Executable;
  readonly #zero: Executable;
  readonly #update: Executable;
  #loss: Executable | undefined;
  readonly #tokens: Int32Array;
  readonly #targets: Int32Array;

  constructor(backend: Backend, config: GPT2Config, settings: TrainSettings) {
    this.config = config;
    this.settings = settings;
    this.backend = backend;
    this.layout = flatLayout(config);
    const { size, offsets } = this.layout;
    const flat = () => backend.alloc("f32", size);
    this.params = flat();
    this.grads = flat();
    this.m = flat();
    this.v = flat();
    const parts = (array: DeviceArray) =>
      tensorTable(config).map(({ name }) => {
        const { offset, size } = offsets.get(name)!;
        return [name, array.slice(offset, size)] as const;
      });
    this.weights = new Map(parts(this.params));

    const N = settings.batchSize * settings.seqLength;
    this.#norm = backend.alloc("f32", 1);
    this.#losses = backend.alloc("f32", N);
    this.#batch = { tokens: backend.alloc("i32", N), targets: backend.alloc("i32", N) };
    this.#tokens = new Int32Array(N);
    this.#targets = new Int32Array(N);
    this.#bindings = { ...this.#batch, losses: this.#losses, ...packedSequences(backend, N, settings.seqLength) };
    for (const [name, array] of this.weights) this.#bindings[paramBuffer(name)] = array;
    for (const [name, array] of parts(this.grads)) this.#bindings[gradBuffer(name)] = array;

    const { params, grads, m, v } = this;
    this.#train = backend.prepare(trainProgram(config, N, settings.dropout), this.#bindings);
    this.#zero = backend.prepare(zeroGradProgram(size), { grads });
    this.#update = backend.prepare(optimizerProgram(config, settings), { params, grads, m, v, norm: this.#norm });
  }

  /** One optimizer step, number `step` from 0; undefined if it was aborted. */
  async step(step: number, fill: FillBatch, options: StepOptions = {}): Promise<StepResult | undefined> {
    const passes = accumulation(this.settings);
    await this.zeroGradients();
    let total = 0;
    for (let pass = 0; pass < passes; pass++) {
      if (options.signal?.aborted) return undefined;
      total += await this.accumulate(step, pass, fill);
      options.onPass?.(pass + 1);
    }
    return { loss: total / this.settings.batchTokens, ...(await this.update(step)) };
  }

  async zeroGradients(): Promise<void> {
    await this.#zero.run();
  }

  /** Adds the gradients of pass `pass` of step `step`; returns the sum of its tokens' losses. */
  async accumulate(step: number, pass: number, fill: FillBatch): Promise<number> {
    const { batchTokens, seed, dropout } = this.settings;
    this.#fill(step * accumulation(this.settings) + pass, fill);
    const key = dropout > 0 ? { dropoutKey: deriveKey(seed, DROPOUT_LABEL, step, pass) } : {};
    await this.#train.run({ scalars: { lossScale: 1 / batchTokens, ...key } });
    return sum(await this.#losses.read());
  }

  /** Clips the gradients and moves the parameters against them. */
  async update(step: number): Promise<Omit<StepResult, "loss">> {
    const { beta1, beta2 } = this.settings;
    const lr = learningRate(this.settings, step);
    const corrections = { correction1: 1 - beta1 ** (step + 1), correction2: 1 - beta2 ** (step + 1) };
    await this.#update.run({ scalars: { lr, ...corrections } });
    const [gradNorm] = await this.#norm.read();
    return { gradNorm: gradNorm!, lr };
  }

  /** Mean loss over `passes` passes without dropout; undefined if it was aborted between two. */
  async evaluate(
    passes: number,
    fill: FillBatch,
    signal?: AbortSignal,
  ): Promise<{ loss: number; tokens: number } | undefined> {
    const N = this.settings.batchSize * this.settings.seqLength;
    this.#loss ??= this.backend.prepare(lossProgram(this.config, N), this.#bindings);
    let [total, tokens] = [0, 0];
    for (let pass = 0; pass < passes; pass++) {
      if (signal?.aborted) return undefined;
      const filled = this.#fill(pass, fill);
      await this.#loss.run();
      total += sum((await this.#losses.read()).subarray(0, filled));
      tokens += filled;
    }
    return { loss: total / tokens, tokens };
  }

  #fill(pass: number, fill: FillBatch): number {
    const filled = fill(pass, this.#tokens, this.#targets);
    this.#batch.tokens.write(this.#tokens);
    this.#batch.targets.write(this.#targets);
    return filled;
  }
}

/** Sequences of T tokens one after another: each token's position, and the keys it sees, its own sequence's up to it. */
function packedSequences(backend: Backend, N: number, T: number): Record<string, DeviceArray> {
  const index = (value: (n: number) => number): DeviceArray => {
    const array = backend.alloc("i32", N);
    array.write(Int32Array.from({ length: N }, (_, n) => value(n)));
    return array;
  };
  return { positions: index((n) => n % T), first: index((n) => n - (n % T)), last: index((n) => n) };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

/**
 * Floating-point operations of training on one token: 6 for each parameter that multiplies (the tied table counts once,
 * as the head; positions not at all), and 12 C for each key a token attends to in each layer, (T + 1) / 2 on average.
 */
export function trainFlopsPerToken(config: GPT2Config, T: number): number {
  const { nEmbd: C, nInner: F, nLayer: L, vocabSize: V } = config;
  return 6 * (L * (4 * C * C + 2 * C * F) + V * C) + 12 * L * C * ((T + 1) / 2);
}
