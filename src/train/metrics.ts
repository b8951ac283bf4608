import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { DataError } from "../errors.js";
import { writeFileAtomically } from "../util/atomic-write.js";
import type { TrainEvent } from "./events.js";

/**
 * metrics.jsonl: one JSON object a line for every event of a run. A resumed run first drops the lines of steps that were
 * done after its checkpoint and will be done again, so that the file stays one unbroken curve.
 */
export class MetricsFile {
  readonly #fd: number;
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, "a");
    } catch (cause) {
      throw new DataError({ op: `writing ${path}`, got: String(cause), cause });
    }
  }

  /** Opens the file for a run that continues after `step` (0: a new run). */
  static async open(path: string, step: number): Promise<MetricsFile> {
    if (existsSync(path)) {
      const lines = readFileSync(path, "utf8").split("\n").filter((line) => stepOf(line) <= step);
      await writeFileAtomically(path, step > 0 ? lines.map((line) => `${line}\n`).join("") : "", DataError);
    }
    return new MetricsFile(path);
  }

  write(event: TrainEvent): void {
    try {
      writeSync(this.#fd, `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
      if (event.type === "checkpoint") fsyncSync(this.#fd);
    } catch (cause) {
      throw new DataError({ op: `writing ${this.#path}`, got: String(cause), cause });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The step of a line; infinity for one that a kill cut short. */
function stepOf(line: string): number {
  try {
    const { step, type } = JSON.parse(line) as { step?: number; type?: string };
    return type === "end" ? Number.POSITIVE_INFINITY : (step ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
