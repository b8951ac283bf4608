/**
 * TensorFlow.js on its WebAssembly backend as a contender (bench/protocol.ts): GPT-2's training step written with its own
 * operations and gradients, as a trainer in JavaScript does it.
 */
import { dirname } from "node:path";
import { tensorTable } from "../../src/architectures/registry.js";
import { fillSeeded } from "../../test/helpers/seeded-weights.js";
import type { Setup, TrainResult, TrainTask } from "../protocol.js";
import { serve } from "../worker.js";
import { peerRequire, peerVersion } from "./import-peer.js";

/** The part of TensorFlow.js used here: it is installed in bench/peers only, so its own types may be missing. */
interface Tensor {
  readonly shape: readonly number[];
  readonly name: string;
  dataSync(): Float32Array;
  dispose(): void;
}
interface Variable extends Tensor {
  assign(value: Tensor): void;
}
type Operand = Tensor | number;
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  variable(initial: Tensor, trainable: boolean, name: string): Variable;
  tensor(values: Float32Array | Int32Array, shape: readonly number[], dtype?: "int32"): Tensor;
  tidy<T>(run: () => T): T;
  variableGrads(f: () => Tensor): { value: Tensor; grads: Record<string, Tensor> };
  customGrad(f: (...args: never[]) => { value: Tensor; gradFunc: (dy: Tensor) => Tensor }): (...x: Tensor[]) => Tensor;
  scatterND(indices: Tensor, updates: Tensor, shape: readonly number[]): Tensor;
  gather(x: Tensor, indices: Tensor): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  transpose(x: Tensor, axes?: readonly number[]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  add(a: Operand, b: Operand): Tensor;
  sub(a: Operand, b: Operand): Tensor;
  mul(a: Operand, b: Operand): Tensor;
  square(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  tanh(x: Tensor): Tensor;
  softmax(x: Tensor): Tensor;
  sum(x: Tensor): Tensor;
  moments(x: Tensor, axis: number, keepDims: boolean): { mean: Tensor; variance: Tensor };
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  oneHot(indices: Tensor, depth: number): Tensor;
}

const MASKED = -1e9;

/**
 * A parameter and its moments, which are kept in ordinary arrays because TensorFlow.js's WebAssembly memory is limited
 * to 2 GiB. Matrices of linear layers are [in, out], as in TensorFlow.js.
 */
interface Weight {
  readonly variable: Variable;
  readonly values: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

function transposed(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

class Trainer {
  readonly #tf: TensorFlow;
  readonly #setup: Setup;
  readonly #weights = new Map<string, Weight>();
  #step = 0;

  constructor(tf: TensorFlow, setup: Setup) {
    this.#tf = tf;
    this.#setup = setup;
    for (const [index, spec] of tensorTable(setup.config).entries()) {
      const size = spec.shape.reduce((n, d) => n * d, 1);
      const seeded = new Float32Array(size);
      fillSeeded(seeded, spec, index, setup.seed);
      const shape = spec.conv1d ? spec.shape.toReversed() : spec.shape;
      const values = spec.conv1d ? transposed(seeded, spec.shape[1]!) : seeded;
      const variable = tf.tidy(() => tf.variable(tf.tensor(values, shape), true, spec.name));
      this.#weights.set(spec.name, { variable, values, m: new Float32Array(size), v: new Float32Array(size) });
    }
  }

  train({ rows, steps }: TrainTask): TrainResult {
    const losses: number[] = [];
    const seconds: number[] = [];
    for (let i = 0; i < steps; i++) {
      const start = performance.now();
      const { value, grads } = this.#tf.variableGrads(() => this.#loss(rows));
      losses.push(value.dataSync()[0]!);
      this.#update(grads);
      value.dispose();
      seconds.push((performance.now() - start) / 1000);
    }
    return { losses, seconds };
  }

  #weight(name: string): Variable {
    return this.#weights.get(name)!.variable;
  }

  /** Mean over the B · T predictions. */
  #loss(rows: TrainTask["rows"]): Tensor {
    const tf = this.#tf;
    const { config } = this.#setup;
    const [B, T] = [rows.length, rows[0]!.length - 1];
    const ids = (from: number) => Int32Array.from(rows.flatMap((row) => row.slice(from, from + T)));
    const positions = tf.slice(this.#weight("wpe.weight"), [0, 0], [T, config.nEmbd]);
    const embedded = tf.reshape(this.#lookUp(ids(0)), [B, T, config.nEmbd]);
    let x = tf.reshape(tf.add(embedded, positions), [B * T, config.nEmbd]);
    for (let layer = 0; layer < config.nLayer; layer++) x = this.#block(x, layer, B, T);
    const logits = tf.matMul(this.#layerNorm(x, "ln_f"), this.#weight("wte.weight"), false, true);
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor(ids(1), [B * T], "int32"), config.vocabSize), logits);
  }

  /**
   * Gathers rows of wte. TensorFlow.js's own gradient of `gather` needs an operation that its WebAssembly backend
   * lacks.
   */
  #lookUp(ids: Int32Array): Tensor {
    const tf = this.#tf;
    // Recomputed for the gradient, because the forward pass's result has been released by then.
    const indices = (shape: readonly number[]) => tf.tensor(ids, shape, "int32");
    const rowsOf = tf.customGrad((wte: Tensor) => ({
      value: tf.gather(wte, indices([ids.length])),
      gradFunc: (dy: Tensor) => tf.scatterND(indices([ids.length, 1]), dy, wte.shape),
    }));
    return rowsOf(this.#weight("wte.weight"));
  }

  #block(x: Tensor, layer: number, B: number, T: number): Tensor {
    const tf = this.#tf;
    const h = `h.${layer}`;
    const attended = this.#attention(this.#linear(this.#layerNorm(x, `${h}.ln_1`), `${h}.attn.c_attn`), B, T);
    const middle = tf.add(x, this.#linear(attended, `${h}.attn.c_proj`));
    const fc = this.#gelu(this.#linear(this.#layerNorm(middle, `${h}.ln_2`), `${h}.mlp.c_fc`));
    return tf.add(middle, this.#linear(fc, `${h}.mlp.c_proj`));
  }

  #linear(x: Tensor, name: string): Tensor {
    return this.#tf.add(this.#tf.matMul(x, this.#weight(`${name}.weight`)), this.#weight(`${name}.bias`));
  }

  #layerNorm(x: Tensor, name: string): Tensor {
    const tf = this.#tf;
    const { mean, variance } = tf.moments(x, -1, true);
    const normed = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, this.#setup.config.layerNormEpsilon)));
    return tf.add(tf.mul(normed, this.#weight(`${name}.weight`)), this.#weight(`${name}.bias`));
  }

  #attention(qkv: Tensor, B: number, T: number): Tensor {
    const tf = this.#tf;
    const { nEmbd: C, nHead: NH } = this.#setup.config;
    const heads = (t: Tensor) => tf.transpose(tf.reshape(t, [B, T, NH, C / NH]), [0, 2, 1, 3]);
    const [q, k, v] = tf.split(qkv, 3, 1).map(heads) as [Tensor, Tensor, Tensor];
    const mask = Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? MASKED : 0));
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(C / NH));
    const weights = tf.softmax(tf.add(scores, tf.tensor(mask, [T, T])));
    return tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [B * T, C]);
  }

  /** The tanh approximation. */
  #gelu(x: Tensor): Tensor {
    const tf = this.#tf;
    const inner = tf.mul(tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x)))), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
  }

  /** AdamW, after clipping the gradients to the norm maxNorm. Each gradient is released after use. */
  #update(grads: Readonly<Record<string, Tensor>>): void {
    const tf = this.#tf;
    const { lr, beta1, beta2, epsilon, weightDecay, maxNorm } = this.#setup.adamw;
    const squares = Object.values(grads).map((g) => tf.tidy(() => tf.sum(tf.square(g)).dataSync()[0]!));
    const clip = Math.min(1, maxNorm / Math.sqrt(squares.reduce((a, b) => a + b, 0)));
    const t = ++this.#step;
    const [scale1, scale2] = [1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)];
    for (const [name, { variable, values, m, v }] of this.#weights) {
      const g = grads[name]!.dataSync();
      grads[name]!.dispose();
      const keep = variable.shape.length > 1 ? 1 - lr * weightDecay : 1;
      for (let i = 0; i < g.length; i++) {
        const gi = g[i]! * clip;
        m[i] = beta1 * m[i]! + (1 - beta1) * gi;
        v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
        values[i] = keep * values[i]! - (lr * m[i]! * scale1) / (Math.sqrt(v[i]! * scale2) + epsilon);
      }
      tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
    }
  }
}

await serve(async (setup) => {
  const tf = peerRequire("@tensorflow/tfjs-core") as TensorFlow;
  peerRequire("@tensorflow/tfjs-layers"); // registers the gradients
  const wasm = peerRequire("@tensorflow/tfjs-backend-wasm") as { setWasmPaths(folder: string): void };
  wasm.setWasmPaths(`${dirname(peerRequire.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  await tf.setBackend("wasm");
  await tf.ready();
  const trainer = new Trainer(tf, setup);
  const description = `${peerVersion("@tensorflow/tfjs-core")}, WebAssembly, 1 thread`;
  return { description, train: async (task) => trainer.train(task) };
});
