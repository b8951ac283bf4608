import type { Backend, DeviceArray, Executable, HostArray } from "../../src/backend/backend.js";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { BackendError } from "../../src/errors.js";
import type { GPT2Config } from "../../src/model/config.js";
import { forward, tokenInputs } from "../../src/model/forward.js";
import { headForward } from "../../src/model/head.js";
import { headWeight, paramTree } from "../../src/model/params.js";
import { gradBuffer, lossProgram, paramBuffer, trainProgram } from "../../src/model/programs.js";
import { numel, tensorTable } from "../../src/model/tensors.js";
import { type Program, Recorder } from "../../src/program/program.js";

export interface BatchShape {
  /** Sequences. */
  readonly B: number;
  /** Tokens in each. */
  readonly T: number;
  readonly dropout?: number;
}

/** Parameters and gradients of a model on a backend, and the model's Programs over one batch. */
export class BoundModel {
  readonly config: GPT2Config;
  readonly #backend: Backend;
  readonly #N: number;
  readonly #arrays: Record<string, DeviceArray> = {};
  readonly #dropout: number;
  readonly #prepared = new Map<string, Executable>();

  constructor(backend: Backend, config: GPT2Config, { B, T, dropout = 0 }: BatchShape) {
    this.config = config;
    this.#backend = backend;
    this.#N = B * T;
    this.#dropout = dropout;
    for (const { name, shape } of tensorTable(config)) {
      this.#arrays[paramBuffer(name)] = backend.alloc("f32", numel(shape));
      this.#arrays[gradBuffer(name)] = backend.alloc("f32", numel(shape));
    }
    const n = Int32Array.from({ length: B * T }, (_, i) => i);
    const inputs = { tokens: n, targets: n, positions: n.map((i) => i % T), first: n.map((i) => i - (i % T)), last: n };
    for (const [name, values] of Object.entries(inputs)) {
      this.#arrays[name] = backend.alloc("i32", B * T);
      this.#arrays[name].write(values);
    }
    this.#arrays.losses = backend.alloc("f32", B * T);
  }

  parameter(name: string): DeviceArray {
    return this.#arrays[paramBuffer(name)]!;
  }

  gradient(name: string): Promise<HostArray> {
    return this.#arrays[gradBuffer(name)]!.read();
  }

  /** Without copying. */
  hostGradient(name: string): HostArray {
    return this.#arrays[gradBuffer(name)]!.host!;
  }

  setWeights(weights: Iterable<readonly [name: string, values: ArrayLike<number>]>): void {
    for (const [name, values] of weights) this.parameter(name).write(values);
  }

  setBatch(tokens: ArrayLike<number>, targets: ArrayLike<number>): void {
    this.#arrays.tokens!.write(tokens);
    this.#arrays.targets!.write(targets);
  }

  /** Gradients of the mean loss, from zero; returns the losses [B · T]. */
  async train(dropoutKey = 0): Promise<HostArray> {
    for (const { name } of tensorTable(this.config)) this.hostGradient(name).fill(0);
    const program = () => trainProgram(this.config, this.#N, this.#dropout);
    const scalars = { lossScale: 1 / this.#N, ...(this.#dropout > 0 && { dropoutKey }) };
    await this.#prepare("train", program).run({ scalars });
    return this.#arrays.losses!.read();
  }

  /** The losses [B · T], without dropout and gradients. */
  async losses(): Promise<HostArray> {
    await this.#prepare("loss", () => lossProgram(this.config, this.#N)).run();
    return this.#arrays.losses!.read();
  }

  /** Logits [B · T, V]. */
  async logits(): Promise<HostArray> {
    const executable = this.#prepare("logits", () => logitsProgram(this.config, this.#N), ["logits"]);
    await executable.run();
    return executable.captured("logits").read();
  }

  #prepare(name: string, program: () => Program, capture: string[] = []): Executable {
    const prepared = this.#prepared.get(name) ?? this.#backend.prepare(program(), this.#arrays, { capture });
    this.#prepared.set(name, prepared);
    return prepared;
  }
}

function logitsProgram(config: GPT2Config, N: number): Program {
  const k = new Recorder("logits");
  const shapes = new Map(tensorTable(config).map(({ name, shape }) => [name, shape]));
  const p = paramTree(config, (name) => k.external(paramBuffer(name), shapes.get(name)!));
  headForward(k, "logits", forward(k, config, p, tokenInputs(k, N)).lnF.out, headWeight(p));
  return k.build();
}

export const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

/** The reference in both precisions, the kernels in WebAssembly, and the native ones of every instruction set there is. */
export function allBackends(): [name: string, make: () => Backend | Promise<Backend>][] {
  const backends: [string, () => Backend | Promise<Backend>][] = [
    ["reference f64", () => referenceBackend({ precision: "f64" })],
    ["reference f32", () => referenceBackend({ precision: "f32" })],
    ["wasm", () => wasmBackend({ threads: 2 })],
    ["wasm without relaxed SIMD", () => wasmBackend({ threads: 2, relaxed: false })],
  ];
  try {
    for (const isa of nativeIsas()) backends.push([`native ${isa}`, () => nativeBackend({ isa, threads: 2 })]);
  } catch (error) {
    // The conformance suite says why there is none.
    if (!(error instanceof BackendError)) throw error;
  }
  return backends;
}
