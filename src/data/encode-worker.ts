/** Worker thread of `gpt2 data`: batches of text in, batches of tokens out. */
import { parentPort, workerData } from "node:worker_threads";
import { GPT2Error } from "../errors.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Vocabulary } from "../tokenizer/vocabulary.js";
import type { Batch, BatchFailure, EncodedBatch } from "./batch.js";
import { BatchEncoder, type BatchEncoderOptions } from "./encode-batch.js";

export interface EncodeWorkerData {
  readonly vocabulary: Vocabulary;
  readonly options: BatchEncoderOptions;
}

export interface EncodeRequest {
  readonly id: number;
  readonly batch: Batch;
}

export type EncodeReply =
  | { readonly id: number; readonly encoded: EncodedBatch }
  | { readonly id: number; readonly failure: BatchFailure };

if (parentPort !== null) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const { vocabulary, options } = workerData as EncodeWorkerData;
  const encoder = new BatchEncoder(new Tokenizer(vocabulary), options);
  port.on("message", ({ id, batch }: EncodeRequest) => {
    let reply: EncodeReply;
    try {
      reply = { id, encoded: encoder.encode(batch) };
    } catch (error) {
      reply = { id, failure: describe(error) };
    }
    port.postMessage(reply, "encoded" in reply ? [reply.encoded.tokens.buffer] : []);
  });
}

function describe(error: unknown): BatchFailure {
  if (!(error instanceof GPT2Error)) return { message: String((error as Error)?.stack ?? error) };
  // A cause may be anything, also what no thread can send to another.
  const { cause: _, ...details } = error.details;
  return { message: error.message, details };
}
