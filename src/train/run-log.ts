import { join } from "node:path";
import type { TrainEvent } from "./events.js";
import { MetricsFile, type ResumePoint } from "./metrics.js";
import { TensorBoardFile } from "./tensorboard-file.js";

/** What a run leaves in its folder besides models: metrics.jsonl, and event files for TensorBoard. */
export class RunLog {
  /** Step of the last checkpoint that is told of so far. */
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

  /** To be called before a checkpoint is written: it must not be ahead of the curve that leads to it. */
  sync(): void {
    for (const file of this.#files) file.sync();
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}
