import { yieldToEventLoop } from "../../util/event-loop.js";
import { checkResult, LinearMachine, LinearMemory } from "./linear-machine.js";
import { instantiate, type Kernels, kernelFailure, now } from "./module.js";

/** A machine on the calling thread, with memory of its own. */
export class LocalMachine extends LinearMachine {
  readonly threads = 1;
  readonly place = "on the calling thread";
  readonly #slice: number;

  /** `slice`: the longest time between two turns of the event loop, in seconds; 0 for no limit. */
  static async create(module: WebAssembly.Module, slice: number): Promise<LocalMachine> {
    const memory = new LinearMemory(false);
    const kernels = await instantiate(module, memory.memory, () => {});
    kernels.gpt2_setup(1);
    return new LocalMachine(memory, kernels, slice);
  }

  private constructor(memory: LinearMemory, kernels: Kernels, slice: number) {
    super(memory, kernels);
    this.#slice = slice;
  }

  protected async execute(count: number): Promise<void> {
    for (let op = 0; op < count; ) {
      // Also before the first op: successive runs must not hold up the event loop either.
      if (this.#slice > 0) await yieldToEventLoop();
      op = this.#runFrom(op);
    }
    checkResult(this.kernels.gpt2_result());
  }

  #runFrom(op: number): number {
    try {
      return this.kernels.gpt2_run(op, this.#slice && now() + this.#slice);
    } catch (error) {
      throw kernelFailure(error);
    }
  }

  peakFlops(): Promise<number> {
    return this.queue.add(() => this.kernels.gpt2_peak());
  }
}
