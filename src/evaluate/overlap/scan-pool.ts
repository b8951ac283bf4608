import { Worker } from "node:worker_threads";
import { packageModule } from "../../util/package-root.js";
import { WorkerPool, type WorkHandler } from "../../util/worker-pool.js";
import { BatchScanner, type LedBatch, type TextCounts } from "./batch-scanner.js";
import { BloomFilter, type BloomShape, BloomWriter, regionCount } from "./bloom-filter.js";

interface ScanData {
  readonly n: number;
  readonly textField: string;
}

/** A filter that n-grams are added to from now on; of shared memory and with locks if there are workers. */
interface ScanTarget {
  readonly shape: BloomShape;
  readonly parts: readonly Int32Array[];
  readonly locks?: Int32Array;
}

/** Scans batches on worker threads, or with none on this one. */
export type ScanPool = WorkerPool<ScanData, LedBatch, TextCounts, ScanTarget>;

export function scanPool(data: ScanData, workers: number): ScanPool {
  return new WorkerPool({
    op: "reading text",
    start: (options) => new Worker(packageModule("evaluate/overlap/scan-worker.js"), options),
    data,
    workers,
    handler: scanHandler,
  });
}

export function scanHandler({ n, textField }: ScanData): WorkHandler<LedBatch, TextCounts, ScanTarget> {
  const scanner = new BatchScanner(n, textField);
  return {
    reply: ({ batch, before }) => scanner.scan(batch, before),
    receive: ({ shape, parts, locks }) => {
      scanner.writer = new BloomWriter(new BloomFilter(shape, parts), locks);
    },
  };
}

/** Adds the n-grams of batches that are scanned from now on to a filter. */
export function addTo(pool: ScanPool, filter: BloomFilter, isShared: boolean): void {
  const { shape, parts } = filter;
  const locks = isShared && new Int32Array(new SharedArrayBuffer(4 * regionCount(filter)));
  pool.broadcast({ shape, parts, ...(locks && { locks }) });
}
