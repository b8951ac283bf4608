import { Worker } from "node:worker_threads";
import { DataError, GPT2Error } from "../../errors.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import type { LedBatch } from "./batch-scanner.js";
import { BatchScanner, type TextCounts } from "./batch-scanner.js";
import type { BloomFilter } from "./bloom-filter.js";
import { BloomWriter, regionCount } from "./bloom-filter.js";
import type { ScanReply, ScanRequest, ScanWorkerData } from "./scan-worker.js";

interface Waiting {
  readonly resolve: (counts: TextCounts) => void;
  readonly reject: (error: unknown) => void;
}

/** Scans batches on worker threads, or with none on this one. */
export class ScanPool {
  /** Batches worth handing in before waiting for the first. */
  readonly depth: number;
  readonly #workers: Worker[] = [];
  readonly #load: number[] = [];
  readonly #waiting = new Map<number, Waiting>();
  readonly #local: BatchScanner | undefined;
  #next = 0;
  #failure: unknown;

  constructor(workerData: ScanWorkerData, workers: number) {
    this.depth = Math.max(1, 3 * workers);
    if (workers === 0) this.#local = new BatchScanner(workerData.n, workerData.textField);
    for (let i = 0; i < workers; i++) {
      // Not this process's own flags: a worker refuses to start with --input-type, as a program given by -e has.
      const worker = new Worker(new URL("./scan-worker.js", import.meta.url), { workerData, execArgv: [] });
      this.#load.push(0);
      worker.on("message", (reply: ScanReply) => this.#settle(i, reply));
      worker.on("error", (error) => this.#fail(error));
      worker.on("exit", (code) => {
        if (code !== 0) this.#fail(new GPT2Error({ op: "reading text", got: `a worker that ended with code ${code}` }));
      });
      this.#workers.push(worker);
    }
  }

  /** N-grams of batches handed in from now on are added to the filter, which with workers is one of shared memory. */
  addTo(filter: BloomFilter): void {
    if (this.#local) this.#local.writer = new BloomWriter(filter);
    const locks = new Int32Array(new SharedArrayBuffer(4 * regionCount(filter)));
    const request: ScanRequest = { shape: filter.shape, parts: filter.parts, locks };
    for (const worker of this.#workers) worker.postMessage(request);
  }

  /** The batch's bytes move to the worker; the batch must not be used afterwards. */
  async scan({ batch, before }: LedBatch): Promise<TextCounts> {
    if (this.#local !== undefined) {
      await yieldToEventLoop();
      return this.#local.scan(batch, before);
    }
    const id = this.#next++;
    const least = this.#load.indexOf(Math.min(...this.#load));
    this.#load[least]!++;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      const request: ScanRequest = { id, batch, before };
      this.#workers[least]!.postMessage(request, [batch.bytes.buffer]);
    });
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.removeAllListeners("exit");
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #settle(worker: number, reply: ScanReply): void {
    this.#load[worker]!--;
    const waiting = this.#waiting.get(reply.id)!;
    this.#waiting.delete(reply.id);
    if ("counts" in reply) {
      waiting.resolve(reply.counts);
      return;
    }
    const { details, message } = reply.failure;
    waiting.reject(
      details === undefined ? new GPT2Error({ op: "reading text", got: message }) : new DataError(details),
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
