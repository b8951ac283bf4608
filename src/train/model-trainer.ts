import type { ModelConfig } from "../architectures/config.js";
import { GAIN_BUFFER, gradBuffer, paramBuffer } from "../architectures/declare.js";
import { gainTable } from "../architectures/lora.js";
import { type OptimizerLayout, optimizerLayout, optimizerProgram } from "../architectures/optimizer.js";
import { lossProgram, type TrainProgramOptions, trainProgram, zeroGradProgram } from "../architectures/programs.js";
import { tensorTable } from "../architectures/registry.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { TensorSpec } from "../architectures/tensor-spec.js";
import { fillLast, TokenArrays } from "../architectures/token-inputs.js";
import { objectiveOf } from "../architectures/training.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { GPT2Error } from "../errors.js";
import { deriveKey } from "../util/random.js";
import { type FillBatch, type HostBatch, hostBatch } from "./host-batch.js";
import { type LoraPlan, type LoraSettings, loraPlan } from "./lora-settings.js";
import { PredictionArrays, pairsIn } from "./prediction-arrays.js";
import { accumulation, checkSeqLength, learningRate, type TrainSettings } from "./settings.js";
import { type Outcome, TaskArrays } from "./task-arrays.js";
import { trainedTable, trainOptions } from "./trained-table.js";

export interface StepResult {
  /** Mean loss over the step's targets, in nats. */
  readonly loss: number;
  /** Number of targets. */
  readonly targets: number;
  /** Global norm of the gradients, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
}

export interface StepOptions {
  /** Checked between passes. An aborted step leaves parameters and optimizer unchanged. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each pass with the number of passes done. */
  readonly onPass?: ((passes: number) => void) | undefined;
}

/** The adapter of a run and its base model. */
export interface Adaptation {
  readonly lora: LoraSettings;
  /** The model's weights, in any storage dtype. Those that are trained too are copied, the others are used in place. */
  readonly base: ReadonlyMap<string, DeviceArray>;
}

const DROPOUT_LABEL = 0x64726f70;

/**
 * A model on a backend with gradients and optimizer state, for the whole model or for an adapter, and the Programs of a training
 * step. It knows batches and steps; the Trainer handles data, files and clocks. A step is `zeroGradients`, `accumulate` for each
 * pass, `update`. Gradients may be changed in between, for example to add those of several machines.
 */
export class ModelTrainer {
  readonly config: ModelConfig;
  readonly settings: TrainSettings;
  readonly backend: Backend;
  /** Trained tensors, in the order of `layout`. */
  readonly table: readonly TensorSpec[];
  /** Layout of params, grads, m and v. */
  readonly layout: OptimizerLayout;
  readonly params: DeviceArray;
  readonly grads: DeviceArray;
  /** The optimizer's mean gradient. */
  readonly m: DeviceArray;
  /** AdamW's mean squared gradient. */
  readonly v: DeviceArray;
  /** Each trained tensor's part of `params`, by name, in the table's order. Matrices are [out, in]. */
  readonly trained: ReadonlyMap<string, DeviceArray>;
  /** The model's tensors, trained or not, in the order of its table. */
  readonly weights: ReadonlyMap<string, DeviceArray>;
  /** The adapter, if one is trained. */
  readonly lora: LoraPlan | undefined;
  /** Task head in place of the output head. Its weight is the last of `trained`. */
  readonly head: TaskHead | undefined;
  readonly #programOptions: TrainProgramOptions;
  readonly #norm: DeviceArray;
  readonly #losses: DeviceArray;
  /** One for each pass of a step. */
  readonly #batches: readonly HostBatch[];
  readonly #inputs: TokenArrays;
  readonly #targets: DeviceArray;
  /** The last token that each token sees. */
  readonly #last: Int32Array;
  readonly #task: TaskArrays | undefined;
  readonly #predictions: PredictionArrays | undefined;
  readonly #bindings: Record<string, DeviceArray>;
  /** All arrays that it allocated, possibly with repetitions. */
  readonly #owned: readonly DeviceArray[];
  #programs!: Programs;
  #loss: Executable | undefined;

  /**
   * @param adaptation without it, the whole model is trained, and its values have to be written to `weights`
   * @throws {UsageError} sequences are longer than the model's context.
   */
  static async create(
    backend: Backend,
    config: ModelConfig,
    settings: TrainSettings,
    adaptation?: Adaptation,
    head?: TaskHead | undefined,
  ): Promise<ModelTrainer> {
    checkSeqLength(settings, config.nCtx);
    const trainer = new ModelTrainer(backend, config, settings, adaptation, head);
    trainer.#programs = await trainer.#prepare();
    return trainer;
  }

  private constructor(
    backend: Backend,
    config: ModelConfig,
    settings: TrainSettings,
    adaptation?: Adaptation,
    head?: TaskHead | undefined,
  ) {
    this.head = head;
    this.config = config;
    this.settings = settings;
    this.backend = backend;
    this.lora = adaptation && loraPlan(config, adaptation.lora);
    this.table = trainedTable(config, this.lora, head);
    this.layout = optimizerLayout(this.table, settings.optimizer);
    const { size, offsets, secondSize } = this.layout;
    const flat = () => backend.alloc("f32", size);
    this.params = flat();
    this.grads = flat();
    this.m = flat();
    this.v = backend.alloc("f32", secondSize);
    const parts = (array: DeviceArray) =>
      this.table.map(({ name }) => {
        const { offset, size } = offsets.get(name)!;
        return [name, array.slice(offset, size)] as const;
      });
    this.trained = new Map(parts(this.params));
    this.weights = new Map(
      tensorTable(config).map(({ name }) => [name, this.trained.get(name) ?? baseWeight(adaptation, name)]),
    );

    const N = settings.batchSize * settings.seqLength;
    this.#norm = backend.alloc("f32", 1);
    this.#inputs = new TokenArrays(backend, config, N);
    this.#batches = Array.from({ length: accumulation(settings) }, () => hostBatch(N));
    this.#task = head && new TaskArrays(backend, head, N, settings.seqLength);
    this.#targets = this.#task?.bindings.targets ?? backend.alloc("i32", N);
    this.#losses = this.#task?.bindings.losses ?? backend.alloc("f32", N);
    const objective = head ? undefined : objectiveOf(config);
    this.#predictions = objective && new PredictionArrays(backend, config, objective, N);
    this.#last = new Int32Array(N);
    const { bindings } = this.#inputs;
    this.#bindings = {
      ...bindings,
      targets: this.#targets,
      ...this.#task?.bindings,
      losses: this.#losses,
      ...this.#predictions?.bindings,
    };
    if (this.lora) this.#bindings[GAIN_BUFFER] = gains(backend, this.lora);
    this.#owned = [
      ...[this.params, this.grads, this.m, this.v, this.#norm, this.#losses, this.#targets],
      ...Object.values(this.#bindings),
    ];
    for (const [name, array] of [...this.weights, ...this.trained]) this.#bindings[paramBuffer(name)] = array;
    for (const [name, array] of parts(this.grads)) this.#bindings[gradBuffer(name)] = array;

    const types = new Map([...this.weights].map(([name, { dtype }]) => [name, dtype]));
    this.#programOptions = trainOptions(settings, adaptation?.lora, this.lora, types, head);
  }

  async #prepare(): Promise<Programs> {
    const { backend, config, settings, params, grads, m, v } = this;
    const N = settings.batchSize * settings.seqLength;
    const flat = { params, grads, m, v, norm: this.#norm };
    return {
      train: await backend.prepare(trainProgram(config, N, this.#programOptions), this.#bindings),
      zero: await backend.prepare(zeroGradProgram(this.layout.size), { grads }),
      update: await backend.prepare(optimizerProgram(this.layout, settings), flat),
    };
  }

  /** Makes optimizer step number `step`, from 0; undefined if it was aborted. */
  async step(step: number, fill: FillBatch, options: StepOptions = {}): Promise<StepResult | undefined> {
    await this.zeroGradients();
    const { batches, targets } = this.fillStep(step, fill);
    let total = 0;
    for (const [pass, batch] of batches.entries()) {
      if (options.signal?.aborted) return undefined;
      total += await this.accumulate(step, pass, batch, targets);
      options.onPass?.(pass + 1);
    }
    return { loss: total / targets, targets, ...(await this.update(step)) };
  }

  /**
   * The batches of a step's passes, valid until the next call, and the number of their targets, at least 1 to allow division.
   * Each target has an equal part of the step's loss.
   */
  fillStep(step: number, fill: FillBatch): { batches: readonly HostBatch[]; targets: number } {
    const first = step * this.#batches.length;
    const counted = this.#batches.reduce((sum, batch, pass) => sum + this.#fill(first + pass, fill, batch), 0);
    return { batches: this.#batches, targets: Math.max(1, counted) };
  }

  async zeroGradients(): Promise<void> {
    await this.#programs.zero.run();
  }

  /**
   * Adds the gradients of pass `pass` of step `step`, divided by the step's `targets`. Returns the sum of the targets' losses.
   */
  async accumulate(step: number, pass: number, batch: HostBatch, targets: number): Promise<number> {
    const { seed } = this.settings;
    this.#load(batch);
    this.#task?.write(batch, 1 / targets);
    const { dropout = 0, lora } = this.#programOptions;
    const scalars: Record<string, number> = this.head?.kind === "regression" ? {} : { lossScale: 1 / targets };
    if (dropout > 0 || (lora && lora.dropout > 0)) scalars.dropoutKey = deriveKey(seed, DROPOUT_LABEL, step, pass);
    const pairs = this.#predictions ? pairsIn(this.#batches) : 1;
    if (this.#predictions) scalars.nextScale = 1 / pairs;
    await this.#programs.train.run({ scalars });
    return this.#lossOf(targets, pairs);
  }

  /** The sum of the targets' losses in the last run. Each pair of texts counts as its share of the targets. */
  async #lossOf(targets: number, pairs: number): Promise<number> {
    if (this.#predictions === undefined) return sum(await this.#losses.read());
    const { predicted, next } = await this.#predictions.losses();
    return predicted + next * (targets / pairs);
  }

  /** Clips the gradients and updates the parameters. */
  async update(step: number): Promise<Pick<StepResult, "gradNorm" | "lr">> {
    const { beta1, beta2 } = this.settings;
    const lr = learningRate(this.settings, step);
    const corrections = { correction1: 1 - beta1 ** (step + 1), correction2: 1 - beta2 ** (step + 1) };
    await this.#programs.update.run({ scalars: { lr, ...corrections } });
    const [gradNorm] = await this.#norm.read();
    return { gradNorm: gradNorm!, lr };
  }

  /**
   * Mean loss over the targets of `passes` passes, without dropout, and with a task head its predictions; undefined if it was
   * aborted between passes.
   */
  async evaluate(
    passes: number,
    fill: FillBatch,
    signal?: AbortSignal,
  ): Promise<{ loss: number; tokens: number; outcomes?: Outcome[] } | undefined> {
    const N = this.settings.batchSize * this.settings.seqLength;
    const { types, lora } = this.#programOptions;
    this.#loss ??= await this.backend.prepare(
      lossProgram(this.config, N, { types, ranks: lora?.ranks, head: this.head, seqLength: this.settings.seqLength }),
      this.#bindings,
    );
    const batch = this.#batches[0]!;
    const outcomes: Outcome[] = [];
    let [total, tokens] = [0, 0];
    for (let pass = 0; pass < passes; pass++) {
      if (signal?.aborted) return undefined;
      const counted = this.#fill(pass, fill, batch);
      tokens += counted;
      this.#load(batch);
      this.#task?.write(batch, 0);
      await this.#loss.run();
      total += await this.#lossOf(counted, pairsIn([batch]));
      if (this.#task) outcomes.push(...(await this.#task.outcomes(batch)));
    }
    return { loss: total / Math.max(1, tokens), tokens, ...(this.#task && { outcomes }) };
  }

  /**
   * Releases parameters, gradients, optimizer state and memory of Programs after the current runs. The frozen weights of an
   * adapter's model stay. Later runs throw {@link DisposedError}.
   */
  dispose(): void {
    for (const executable of [...Object.values(this.#programs), this.#loss]) executable?.dispose();
    for (const array of this.#owned) array.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #fill(pass: number, fill: FillBatch, batch: HostBatch): number {
    const { seqLength: T } = this.settings;
    batch.tokens.fill(0);
    batch.targets.fill(-1);
    batch.tokenTypes.fill(0);
    batch.next.fill(-1);
    for (let n = 0; n < batch.first.length; n++) {
      batch.positions[n] = n % T;
      batch.first[n] = n - (n % T);
    }
    return fill(pass, batch);
  }

  #load(batch: HostBatch): void {
    const { tokens, positions, first, tokenTypes } = batch;
    fillLast(this.config, first, this.#last, first.length);
    this.#inputs.write({ tokens, positions, first, last: this.#last, tokenTypes }, first.length);
    if (this.#predictions) this.#predictions.write(batch);
    else if (this.head?.kind !== "spans") this.#targets.write(batch.targets);
  }
}

interface Programs {
  readonly train: Executable;
  readonly zero: Executable;
  readonly update: Executable;
}

function baseWeight(adaptation: Adaptation | undefined, name: string): DeviceArray {
  const array = adaptation?.base.get(name);
  if (array) return array;
  throw new GPT2Error({ op: "training an adapter", expected: `the model's tensor ${name}`, got: "none" });
}

function gains(backend: Backend, { ranks, scale }: LoraPlan): DeviceArray {
  const values = gainTable(ranks, () => scale, 1);
  const array = backend.alloc("f32", values.length);
  array.write(values);
  return array;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
