import { Worker } from "node:worker_threads";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Vocabulary } from "../tokenizer/vocabulary.js";
import { packageModule } from "../util/package-root.js";
import { WorkerPool, type WorkHandler } from "../util/worker-pool.js";
import type { Batch, EncodedBatch } from "./batch.js";
import { BatchEncoder, type BatchEncoderOptions } from "./encode-batch.js";

interface EncodeData {
  readonly vocabulary: Vocabulary;
  readonly options: BatchEncoderOptions;
}

/** Encodes batches on worker threads, or with none on this one. */
export type EncodePool = WorkerPool<EncodeData, Batch, EncodedBatch>;

export function encodePool(vocabulary: Vocabulary, options: BatchEncoderOptions, workers: number): EncodePool {
  return new WorkerPool({
    op: "encoding text",
    start: (workerOptions) => new Worker(packageModule("data/encode-worker.js"), workerOptions),
    data: { vocabulary, options },
    workers,
    handler: encodeHandler,
  });
}

export function encodeHandler({ vocabulary, options }: EncodeData): WorkHandler<Batch, EncodedBatch> {
  const encoder = new BatchEncoder(new Tokenizer(vocabulary), options);
  return { reply: (batch) => encoder.encode(batch), transfer: ({ tokens }) => [tokens.buffer] };
}
