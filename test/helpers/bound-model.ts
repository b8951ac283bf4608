import type { ModelConfig } from "../../src/architectures/config.js";
import {
  declareParams,
  GAIN_BUFFER,
  gradBuffer,
  type ParamTypes,
  paramBuffer,
  type TrainedAdapter,
} from "../../src/architectures/declare.js";
import { headForward } from "../../src/architectures/head.js";
import { gainTable, loraTable } from "../../src/architectures/lora.js";
import { lossProgram, type TrainProgramOptions, trainProgram } from "../../src/architectures/programs.js";
import { architectureOf, tensorTable } from "../../src/architectures/registry.js";
import { numel, type TensorSpec } from "../../src/architectures/tensor-spec.js";
import { TokenArrays, type TokenColumns, tokenInputs } from "../../src/architectures/token-inputs.js";
import type { Backend, DeviceArray, Executable, HostArray } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { type Program, Recorder } from "../../src/program/program.js";
import { TESTING_ALL, THREADS, testedIsas } from "./tested-isas.js";

export interface BatchShape {
  /** Sequences. */
  readonly B: number;
  /** Number of tokens in each sequence. */
  readonly T: number;
  readonly dropout?: number;
  readonly recompute?: boolean;
  /** Train this adapter instead of the model, of which only `extras` are trained. */
  readonly lora?: TrainedAdapter & { readonly scaleOf: (layer: string) => number };
  readonly extras?: ReadonlySet<string>;
  /** Storage dtypes of weights; f32 where there is none. */
  readonly types?: ParamTypes;
}

/** Parameters and gradients of a model on a backend, and the model's Programs over one batch. */
export class BoundModel {
  readonly config: ModelConfig;
  /** The trained tensors. */
  readonly trained: readonly TensorSpec[];
  readonly #backend: Backend;
  readonly #N: number;
  readonly #arrays: Record<string, DeviceArray> = {};
  readonly #options: TrainProgramOptions;
  readonly #inputs: TokenArrays;
  #columns: TokenColumns;
  readonly #prepared = new Map<string, Executable>();

  constructor(backend: Backend, config: ModelConfig, shape: BatchShape) {
    const { B, T, lora, types, dropout = 0, recompute = false } = shape;
    this.config = config;
    this.#backend = backend;
    this.#N = B * T;
    const extras = lora && (shape.extras ?? new Set<string>());
    this.#options = { dropout, recompute, types, lora, trained: extras };
    const table = tensorTable(config);
    const adapter = lora ? loraTable(config, lora.ranks) : [];
    this.trained = [...table.filter(({ name }) => extras?.has(name) ?? true), ...adapter];
    for (const { name, shape } of [...table, ...adapter]) {
      this.#arrays[paramBuffer(name)] = backend.alloc(types?.get(name) ?? "f32", numel(shape));
    }
    for (const { name, shape } of this.trained) this.#arrays[gradBuffer(name)] = backend.alloc("f32", numel(shape));
    if (lora) {
      const gains = gainTable(lora.ranks, lora.scaleOf, 1);
      this.#arrays[GAIN_BUFFER] = backend.alloc("f32", gains.length);
      this.#arrays[GAIN_BUFFER].write(gains);
    }
    const n = Int32Array.from({ length: B * T }, (_, i) => i);
    this.#columns = { tokens: n, positions: n.map((i) => i % T), first: n.map((i) => i - (i % T)), last: n };
    this.#inputs = new TokenArrays(backend, config, B * T);
    this.#inputs.write(this.#columns, B * T);
    Object.assign(this.#arrays, this.#inputs.bindings);
    this.#arrays.targets = backend.alloc("i32", B * T);
    this.#arrays.targets.write(n);
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
    this.setInputs({ tokens, targets });
  }

  setInputs(inputs: Readonly<Record<string, ArrayLike<number>>>): void {
    const { targets, ...columns } = inputs;
    if (targets) this.#arrays.targets!.write(targets);
    const given = Object.entries(columns).map(([name, values]) => [name, Int32Array.from(values)] as const);
    this.#columns = { ...this.#columns, ...Object.fromEntries(given) };
    this.#inputs.write(this.#columns, this.#N);
  }

  /** Gradients of the sum of the losses times `lossScale` (by default their mean), from zero; returns the losses [B · T]. */
  async train(dropoutKey = 0, lossScale = 1 / this.#N): Promise<HostArray> {
    for (const { name } of this.trained) this.hostGradient(name).fill(0);
    const { dropout = 0, lora } = this.#options;
    const scalars = { lossScale, ...((dropout > 0 || (lora && lora.dropout > 0)) && { dropoutKey }) };
    const executable = await this.#prepare("train", () => trainProgram(this.config, this.#N, this.#options));
    await executable.run({ scalars });
    return this.#arrays.losses!.read();
  }

  /** The losses [B · T], without dropout and gradients. */
  async losses(): Promise<HostArray> {
    const { types, lora } = this.#options;
    const program = () => lossProgram(this.config, this.#N, { types, ranks: lora?.ranks });
    await (await this.#prepare("loss", program)).run();
    return this.#arrays.losses!.read();
  }

  /** Logits [B · T, V]. */
  async logits(): Promise<HostArray> {
    const executable = await this.#prepare("logits", () => logitsProgram(this.config, this.#N), ["logits"]);
    await executable.run();
    return executable.captured("logits").read();
  }

  async #prepare(name: string, program: () => Program, capture: string[] = []): Promise<Executable> {
    const prepared = this.#prepared.get(name) ?? (await this.#backend.prepare(program(), this.#arrays, { capture }));
    this.#prepared.set(name, prepared);
    return prepared;
  }
}

function logitsProgram(config: ModelConfig, N: number): Program {
  const k = new Recorder("logits");
  const { forward, head } = architectureOf(config);
  const p = declareParams(k, config);
  headForward(k, "logits", forward(k, config, p, tokenInputs(k, config, N)).hidden, p.tensor(head(config)));
  return k.build();
}

export const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

/**
 * The reference in both precisions, the WebAssembly kernels, and the native kernels of every available instruction set. In
 * `npm test` the reference in double precision, and the best native kernels or, where there are none, WebAssembly's: both are
 * compiled from the same C.
 */
export function allBackends(): [name: string, make: () => Backend | Promise<Backend>][] {
  const backends: [string, () => Backend | Promise<Backend>][] = [
    ["reference f64", () => referenceBackend({ precision: "f64" })],
  ];
  const isas = testedIsas();
  if (TESTING_ALL || isas.length === 0) backends.push(["wasm", () => wasmBackend({ threads: THREADS })]);
  if (TESTING_ALL) {
    backends.push(["reference f32", () => referenceBackend({ precision: "f32" })]);
    backends.push(["wasm without relaxed SIMD", () => wasmBackend({ threads: THREADS, relaxed: false })]);
  }
  for (const isa of isas) backends.push([`native ${isa}`, () => nativeBackend({ isa, threads: THREADS })]);
  return backends;
}
