/** Worker thread of `gpt2 overlap build`: batches of text in, counts out; n-grams go into a filter that all share. */
import { parentPort, workerData } from "node:worker_threads";
import type { Batch, BatchFailure } from "../../data/batch.js";
import { GPT2Error } from "../../errors.js";
import { BatchScanner, type TextCounts } from "./batch-scanner.js";
import { BloomFilter, type BloomShape, BloomWriter } from "./bloom-filter.js";

export interface ScanWorkerData {
  readonly n: number;
  readonly textField: string;
}

export type ScanRequest =
  | { readonly id: number; readonly batch: Batch; readonly before: string }
  /** From now on n-grams are added here. */
  | { readonly shape: BloomShape; readonly parts: readonly Int32Array[]; readonly locks: Int32Array };

export type ScanReply =
  | { readonly id: number; readonly counts: TextCounts }
  | { readonly id: number; readonly failure: BatchFailure };

if (parentPort !== null) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const { n, textField } = workerData as ScanWorkerData;
  const scanner = new BatchScanner(n, textField);
  port.on("message", (request: ScanRequest) => {
    if ("shape" in request) {
      scanner.writer = new BloomWriter(new BloomFilter(request.shape, request.parts), request.locks);
      return;
    }
    const { id, batch, before } = request;
    let reply: ScanReply;
    try {
      reply = { id, counts: scanner.scan(batch, before) };
    } catch (error) {
      reply = { id, failure: describe(error) };
    }
    port.postMessage(reply);
  });
}

function describe(error: unknown): BatchFailure {
  if (!(error instanceof GPT2Error)) return { message: String((error as Error)?.stack ?? error) };
  // A cause may be anything, also what no thread can send to another.
  const { cause: _, ...details } = error.details;
  return { message: error.message, details };
}
