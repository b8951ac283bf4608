import { OP_BYTES } from "../op-layout.js";
import { instantiate, type Kernels } from "./instance.js";
import { kernelFailure } from "./kernel-failure.js";
import { type LinearBlock, type LinearCode, LinearMemory } from "./linear-memory.js";
import { checkResult } from "./local-machine.js";
import type { Block, CodeValues, Machine } from "./machine.js";
import type { FromWorker, ToWorker } from "./messages.js";
import { RunQueue } from "./run-queue.js";
import type { WorkerLink } from "./worker-link.js";

/** Room for the stack of a worker. No kernel recurses, and none keeps much on it. */
const STACK_BYTES = 65536;

const crews = new FinalizationRegistry<Crew>((crew) => crew.dismiss());

/** Runs on workers that share memory with this thread, which never waits for them. */
export class TeamMachine implements Machine {
  readonly threads: number;
  readonly #memory: LinearMemory;
  readonly #kernels: Kernels;
  readonly #crew: Crew;
  readonly #queue = new RunQueue();

  /** @throws {BackendError} the workers could not be had. */
  static async create(module: WebAssembly.Module, workers: readonly WorkerLink[]): Promise<TeamMachine> {
    const crew = new Crew(workers);
    try {
      const memory = new LinearMemory(true);
      const kernels = await instantiate(module, memory.memory, () => {});
      kernels.gpt2_setup(workers.length);
      await crew.begin((tid) => {
        const top = memory.heap.alloc(STACK_BYTES) + STACK_BYTES;
        return { kind: "work", module, memory: memory.memory, tid, stack: { top } };
      });
      return new TeamMachine(memory, kernels, crew);
    } catch (error) {
      crew.dismiss();
      throw error;
    }
  }

  private constructor(memory: LinearMemory, kernels: Kernels, crew: Crew) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#crew = crew;
    this.threads = crew.size;
    crews.register(this, crew);
  }

  get place(): string {
    return this.threads === 1 ? "1 thread" : `${this.threads} threads`;
  }

  alloc(bytes: number): LinearBlock {
    return this.#memory.alloc(bytes);
  }

  load(ops: Uint8Array, blocks: readonly Block[]): LinearCode {
    return this.#memory.load(ops, blocks, ops.length / OP_BYTES);
  }

  run(code: LinearCode, values: CodeValues, timed: boolean): Promise<Float64Array | undefined> {
    return this.#queue.add(async () => {
      if (code.count === 0) return timed ? new Float64Array(0) : undefined;
      const seconds = this.#memory.set(this.#kernels, code, values, timed);
      checkResult(await this.#crew.work(() => this.#kernels.gpt2_start()));
      return seconds && this.#memory.take(seconds);
    });
  }

  peakFlops(): Promise<number> {
    return this.#queue.add(async () => {
      this.#kernels.gpt2_set(0, 0, 0, 0, 0);
      await this.#crew.work(() => this.#kernels.gpt2_start());
      const at = this.#kernels.gpt2_partials() >>> 0;
      return new Float64Array(this.#memory.memory.buffer, at, this.threads).reduce((sum, flops) => sum + flops, 0);
    });
  }
}

/**
 * The workers of a team. It does not know its machine, so that a machine nobody refers to can be collected and its
 * workers be dismissed.
 */
class Crew {
  readonly #workers: readonly WorkerLink[];
  readonly #ready: Promise<unknown>;
  #finish: ((result: number) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #failure: Error | undefined;

  constructor(workers: readonly WorkerLink[]) {
    this.#workers = workers;
    this.#ready = Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            const failed = (error: unknown): void => {
              const failure = kernelFailure(error);
              reject(failure);
              this.#failWith(failure);
            };
            worker.listen((message) => {
              const from = message as FromWorker;
              if (from.kind === "ready") resolve();
              else if (from.kind === "done") this.#finish?.(from.result);
              else if (from.kind === "failed") failed(from.error);
            }, failed);
          }),
      ),
    );
    this.#ready.catch(() => {});
  }

  get size(): number {
    return this.#workers.length;
  }

  async begin(orders: (tid: number) => ToWorker): Promise<void> {
    for (const [tid, worker] of this.#workers.entries()) {
      worker.post(orders(tid));
      worker.keepAlive(true);
    }
    await this.#ready;
    for (const worker of this.#workers) worker.keepAlive(false);
  }

  /** Resolves with the run's result when the workers that `start` wakes are done. */
  async work(start: () => void): Promise<number> {
    if (this.#failure) throw this.#failure;
    const [leader] = this.#workers;
    try {
      return await new Promise<number>((resolve, reject) => {
        this.#finish = resolve;
        this.#fail = reject;
        leader?.keepAlive(true);
        start();
      });
    } finally {
      this.#finish = this.#fail = undefined;
      leader?.keepAlive(false);
    }
  }

  /** One that failed leaves the others waiting for it for ever: the team is lost. */
  #failWith(failure: Error): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#fail?.(failure);
    this.dismiss();
  }

  dismiss(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
