import { Worker } from "node:worker_threads";
import { DataError, GPT2Error } from "../errors.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Vocabulary } from "../tokenizer/vocabulary.js";
import type { Batch, EncodedBatch } from "./batch.js";
import { BatchEncoder, type BatchEncoderOptions } from "./encode-batch.js";
import type { EncodeReply, EncodeRequest, EncodeWorkerData } from "./encode-worker.js";

/** Encodes batches on worker threads, or with none on this one. */
export class EncodePool {
  /** Batches worth handing in before waiting for the first: what keeps every worker busy. */
  readonly depth: number;
  readonly #workers: Worker[] = [];
  readonly #load: number[] = [];
  readonly #waiting = new Map<number, { resolve(encoded: EncodedBatch): void; reject(error: unknown): void }>();
  readonly #local: BatchEncoder | undefined;
  #next = 0;
  #failure: unknown;

  constructor(vocabulary: Vocabulary, options: BatchEncoderOptions, workers: number) {
    this.depth = Math.max(1, 3 * workers);
    if (workers === 0) this.#local = new BatchEncoder(new Tokenizer(vocabulary), options);
    const workerData: EncodeWorkerData = { vocabulary, options };
    for (let i = 0; i < workers; i++) {
      // Not this process's own flags: a worker refuses to start with --input-type, as a program given by -e has.
      const worker = new Worker(new URL("./encode-worker.js", import.meta.url), { workerData, execArgv: [] });
      this.#load.push(0);
      worker.on("message", (reply: EncodeReply) => this.#settle(i, reply));
      worker.on("error", (error) => this.#fail(error));
      worker.on("exit", (code) => {
        if (code !== 0)
          this.#fail(new GPT2Error({ op: "encoding text", got: `a worker that ended with code ${code}` }));
      });
      this.#workers.push(worker);
    }
  }

  /** The batch's bytes move to the worker; the batch must not be used afterwards. */
  encode(batch: Batch): Promise<EncodedBatch> {
    if (this.#local !== undefined) {
      const local = this.#local;
      // The loop of whoever calls gets its turn between batches.
      return new Promise((resolve, reject) => {
        setImmediate(() => {
          try {
            resolve(local.encode(batch));
          } catch (error) {
            reject(error);
          }
        });
      });
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
      const request: EncodeRequest = { id, batch };
      this.#workers[least]!.postMessage(request, [batch.bytes.buffer]);
    });
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.removeAllListeners("exit");
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #settle(worker: number, reply: EncodeReply): void {
    this.#load[worker]!--;
    const waiting = this.#waiting.get(reply.id)!;
    this.#waiting.delete(reply.id);
    if ("encoded" in reply) waiting.resolve(reply.encoded);
    else {
      const { details, message } = reply.failure;
      waiting.reject(
        details === undefined ? new GPT2Error({ op: "encoding text", got: message }) : new DataError(details),
      );
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
