import { checkResult, LinearMachine, LinearMemory } from "./linear-machine.js";
import type { ToWorker, WorkerLink } from "./messages.js";
import { instantiate, type Kernels, kernelFailure } from "./module.js";

/** Bytes of a worker's stack. No kernel recurses, and none keeps much on the stack. */
const STACK_BYTES = 65536;

const collectedTeams = new FinalizationRegistry<WorkerTeam>((team) => void team.terminate());

/** A machine on workers that share memory with this thread, which never blocks on them. */
export class TeamMachine extends LinearMachine {
  readonly threads: number;
  readonly #team: WorkerTeam;

  /** @throws {BackendError} the workers did not start. */
  static async create(module: WebAssembly.Module, workers: readonly WorkerLink[]): Promise<TeamMachine> {
    const team = new WorkerTeam(workers);
    try {
      const memory = new LinearMemory(true);
      const kernels = await instantiate(module, memory.memory, () => {});
      kernels.gpt2_setup(workers.length);
      await team.start((tid) => {
        const top = memory.reserve(STACK_BYTES) + STACK_BYTES;
        return { kind: "work", module, memory: memory.memory, tid, stack: { top } };
      });
      return new TeamMachine(memory, kernels, team);
    } catch (error) {
      await team.terminate();
      throw error;
    }
  }

  private constructor(memory: LinearMemory, kernels: Kernels, team: WorkerTeam) {
    super(memory, kernels);
    this.#team = team;
    this.threads = team.size;
    collectedTeams.register(this, team, this);
  }

  get place(): string {
    return this.threads === 1 ? "1 thread" : `${this.threads} threads`;
  }

  protected async execute(): Promise<void> {
    checkResult(await this.#team.run(() => this.kernels.gpt2_start()));
  }

  peakFlops(): Promise<number> {
    return this.queue.add(async () => {
      this.kernels.gpt2_set(0, 0, 0, 0, 0);
      await this.#team.run(() => this.kernels.gpt2_start());
      const at = this.kernels.gpt2_partials() >>> 0;
      return new Float64Array(this.memory.memory.buffer, at, this.threads).reduce((sum, flops) => sum + flops, 0);
    });
  }

  override async dispose(): Promise<void> {
    await this.queue.close();
    collectedTeams.unregister(this);
    await this.#team.terminate();
    await super.dispose();
  }
}

/**
 * The workers of a team. It does not refer to its machine, so that the machine can be garbage-collected and the workers terminated.
 */
class WorkerTeam {
  readonly #workers: readonly WorkerLink[];
  readonly #ready: Promise<unknown>;
  #finish: ((result: number) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #failure: Error | undefined;

  constructor(workers: readonly WorkerLink[]) {
    this.#workers = workers;
    this.#ready = Promise.all(workers.map((worker) => this.#listen(worker)));
    this.#ready.catch(() => {});
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Resolves when the worker is ready. */
  #listen(worker: WorkerLink): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        const failure = kernelFailure(error);
        reject(failure);
        this.#failWith(failure);
      };
      worker.listen((message) => {
        if (message.kind === "ready") resolve();
        else if (message.kind === "done") this.#finish?.(message.result);
        else if (message.kind === "failed") failed(message.error);
      }, failed);
    });
  }

  async start(orders: (tid: number) => ToWorker): Promise<void> {
    for (const [tid, worker] of this.#workers.entries()) {
      worker.post(orders(tid));
      worker.keepAlive(true);
    }
    await this.#ready;
    for (const worker of this.#workers) worker.keepAlive(false);
  }

  /** Resolves with the run's result when the workers woken by `start` have finished. */
  async run(start: () => void): Promise<number> {
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

  /** After one worker's failure the others would wait for it forever: the team is lost. */
  #failWith(failure: Error): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#fail?.(failure);
    void this.terminate();
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
