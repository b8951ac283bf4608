import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import type { GPT2Config } from "../model/config.js";
import { flatLayout } from "../model/flat.js";
import { gradBuffer, lossProgram, optimizerProgram, paramBuffer, trainProgram, zeroGradProgram } from "../model/programs.js";
import { deriveKey } from "../util/random.js";
import { accumulation, learningRate, type TrainSettings } from "./settings.js";

/** Fills tokens and targets, [B, T] each, with pass number `pass` of the run; returns the rows filled. */
export type FillBatch = (pass: number, tokens: Int32Array, targets: Int32Array) => number;

export interface StepResult {
  /** Mean loss over the step's tokens, in nats. */
  readonly loss: number;
  /** Global norm of the gradients, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
}

const DROPOUT_LABEL = 0x64726f70;

/**
 * A model with its gradients and optimizer state on a backend, and the Programs of one training step. It knows batches
 * and steps; data, files and clocks are the Trainer's.
 */
export class ModelTrainer {
  readonly config: GPT2Config;
  readonly settings: TrainSettings;
  readonly layout;
  /** Flat arrays laid out by `layout`: parameters, and AdamW's moments. */
  readonly params: DeviceArray;
  readonly m: DeviceArray;
  readonly v: DeviceArray;
  readonly grads: DeviceArray;
  readonly #norm: DeviceArray;
  readonly #losses: DeviceArray;
  readonly #inputs: Record<"tokens" | "targets", DeviceArray>;
  readonly #train: Executable;
  readonly #zero: Executable;
  readonly #update: Executable;
  #loss: Executable | undefined;
  readonly #backend: Backend;
  readonly #bindings: Record<string, DeviceArray>;
  readonly #tokens: Int32Array;
  readonly #targets: Int32Array;

  constructor(backend: Backend, config: GPT2Config, settings: TrainSettings) {
    this.config = config;
    this.settings = settings;
    this.#backend = backend;
    this.layout = flatLayout(config);
    const { size, offsets } = this.layout;
    const [params, grads, m, v] = [0, 1, 2, 3].map(() => backend.alloc("f32", size)) as [DeviceArray, DeviceArray, DeviceArray, DeviceArray];
    this.params = params;
    this.grads = grads;
    this.m = m;
    this.v = v;
    const { batchSize: B, seqLength: T } = settings;
    const N = B * T;
    this.#norm = backend.alloc("f32", 1);
    this.#losses = backend.alloc("f32", N);
    this.#inputs = { tokens: backend.alloc("i32", N), targets: backend.alloc("i32", N) };
    const index = (value: (i: number) => number): DeviceArray => {
      const array = backend.alloc("i32", N);
      array.write(Int32Array.from({ length: N }, (_, i) => value(i)));
      return array;
    };
    const bindings: Record<string, DeviceArray> = {
      ...this.#inputs,
      losses: this.#losses,
      positions: index((i) => i % T),
      first: index((i) => i - (i % T)),
      last: index((i) => i),
    };
    for (const [name, { offset, size }] of offsets) {
      bindings[paramBuffer(name)] = params.slice(offset, size);
      bindings[gradBuffer(name)] = grads.slice(offset, size);
    }
    this.#bindings = bindings;
    this.#train = backend.prepare(trainProgram(config, N, settings.dropout), bindings);
    this.#zero = backend.prepare(zeroGradProgram(size), { grads });
    this.#update = backend.prepare(optimizerProgram(config, settings), { params, grads, m, v, norm: this.#norm });
    this.#tokens = new Int32Array(N);
    this.#targets = new Int32Array(N);
  }

  /** The array of one parameter, [out, in] for matrices. */
  parameter(name: string): DeviceArray {
    return this.#bindings[paramBuffer(name)]!;
  }

  /** One optimizer step, number `step` from 0, over its share of passes. */
  async step(step: number, fill: FillBatch): Promise<StepResult> {
    const passes = accumulation(this.settings);
    const { batchTokens, seed, dropout, beta1, beta2 } = this.settings;
    await this.#zero.run();
    let total = 0;
    for (let i = 0; i < passes; i++) {
      this.#fill(step * passes + i, fill);
      const key = dropout > 0 ? { dropoutKey: deriveKey(seed, DROPOUT_LABEL, step, i) } : {};
      await this.#train.run({ scalars: { lossScale: 1 / batchTokens, ...key } });
      total += sum(await this.#losses.read());
    }
    const lr = learningRate(this.settings, step);
    const corrections = { correction1: 1 - beta1 ** (step + 1), correction2: 1 - beta2 ** (step + 1) };
    await this.#update.run({ scalars: { lr, ...corrections } });
    const [gradNorm] = await this.#norm.read();
    return { loss: total / batchTokens, gradNorm: gradNorm!, lr };
  }

  /** Mean loss over `batches` passes without dropout; rows a pass leaves unfilled do not count. */
  async evaluate(batches: number, fill: FillBatch, signal?: AbortSignal): Promise<{ loss: number; tokens: number }> {
    const { batchSize: B, seqLength: T } = this.settings;
    this.#loss ??= this.#backend.prepare(lossProgram(this.config, B * T), this.#bindings);
    let [total, tokens] = [0, 0];
    for (let i = 0; i < batches && !signal?.aborted; i++) {
      const rows = this.#fill(i, fill);
      await this.#loss.run();
      total += sum((await this.#losses.read()).subarray(0, rows * T));
      tokens += rows * T;
    }
    return { loss: total / tokens, tokens };
  }

  #fill(pass: number, fill: FillBatch): number {
    const rows = fill(pass, this.#tokens, this.#targets);
    this.#inputs.tokens.write(this.#tokens);
    this.#inputs.targets.write(this.#targets);
    return rows;
  }
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
