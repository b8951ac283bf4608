import { OutOfMemoryError } from "../../errors.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { OP_BYTES } from "../op-layout.js";
import { instantiate, type Kernels, now } from "./instance.js";
import { kernelFailure } from "./kernel-failure.js";
import { type LinearBlock, type LinearCode, LinearMemory } from "./linear-memory.js";
import type { Block, CodeValues, Machine } from "./machine.js";
import { RunQueue } from "./run-queue.js";

/** Runs on the thread that calls, with memory of its own. */
export class LocalMachine implements Machine {
  readonly threads = 1;
  readonly place = "on the calling thread";
  readonly #memory: LinearMemory;
  readonly #kernels: Kernels;
  readonly #turn: number;
  readonly #queue = new RunQueue();

  /** `turn`: seconds for which the event loop may wait between two ops; 0 for as long as it takes. */
  static async create(module: WebAssembly.Module, turn: number): Promise<LocalMachine> {
    const memory = new LinearMemory(false);
    const kernels = await instantiate(module, memory.memory, () => {});
    kernels.gpt2_setup(1);
    return new LocalMachine(memory, kernels, turn);
  }

  private constructor(memory: LinearMemory, kernels: Kernels, turn: number) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#turn = turn;
  }

  alloc(bytes: number): LinearBlock {
    return this.#memory.alloc(bytes);
  }

  load(ops: Uint8Array, blocks: readonly Block[]): LinearCode {
    return this.#memory.load(ops, blocks, ops.length / OP_BYTES);
  }

  /** At once, not when it is collected. */
  free(block: LinearBlock | undefined): void {
    if (block) this.#memory.free(block);
  }

  unload(code: LinearCode | undefined): void {
    this.free(code?.ops);
    this.free(code?.values);
  }

  run(code: LinearCode, values: CodeValues, timed: boolean): Promise<Float64Array | undefined> {
    return this.#queue.add(async () => {
      const seconds = this.#memory.set(this.#kernels, code, values, timed);
      for (let op = 0; op < code.count; ) {
        // First of all, too: runs that follow one another must not keep the event loop waiting either.
        if (this.#turn > 0) await yieldToEventLoop();
        op = this.#runFrom(op);
      }
      checkResult(this.#kernels.gpt2_result());
      return seconds && this.#memory.take(seconds);
    });
  }

  #runFrom(op: number): number {
    try {
      return this.#kernels.gpt2_run(op, this.#turn && now() + this.#turn);
    } catch (error) {
      throw kernelFailure(error);
    }
  }

  peakFlops(): Promise<number> {
    return this.#queue.add(async () => this.#kernels.gpt2_peak());
  }
}

/** @throws {OutOfMemoryError} what a run ended with says so. */
export function checkResult(result: number): void {
  if (result === 0) return;
  throw new OutOfMemoryError({
    op: "WebAssembly memory: scratch of a kernel",
    got: "no more of the 4 GiB that 32-bit addresses reach",
    hint: "Smaller batches and shorter contexts need less",
  });
}
