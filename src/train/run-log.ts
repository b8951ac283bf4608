import { join } from "node:path";
import type { TrainEvent } from "./events.js";
import { MetricsFile, type ResumePoint } from "./metrics.js";
import { TensorBoardFile } from "./tensorboard-file.js";

/** The logs of a run: metrics.jsonl, and event files for TensorBoard. */
export class RunLog {
  /** Step of the last checkpoint event so far. */
  readonly lastCheckpoint: number | undefined;
  readonly #files: readonly (MetricsFile | TensorBoardFile)[];

  /** @param resume undefined for a new run */
  constructor(folder: string, resume: ResumePoint | undefined) {
    const metrics = new MetricsFile(join(folder, "metrics.jsonl"), resume);
    this.lastCheckpoint = metrics.lastCheckpoint;
    this.#files = [metrics, new TensorBoardFile(folder, resume?.step ?? 0)];
  }

  write(event: TrainEvent): void {
    for (const file of this.#files) file.write(event);
  }

  /** Flushes to disk. Called before a checkpoint is written, so that the curve is never behind the checkpoint. */
  sync(): void {
    for (const file of this.#files) file.sync();
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}
