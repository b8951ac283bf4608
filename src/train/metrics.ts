import { existsSync, readFileSync, truncateSync } from "node:fs";
import { GPT2Error } from "../errors.js";
import { typedWriteSync } from "../util/file-errors.js";
import { AppendFile } from "./append-file.js";
import type { TrainEvent } from "./events.js";

/** Where a resumed run goes on. */
export interface ResumePoint {
  /** Optimizer steps done. */
  readonly step: number;
  /** The validation or sample of that step is still to be done. */
  readonly unfinished: boolean;
}

/**
 * metrics.jsonl: one JSON object a line for every event of a run. A resumed run first cuts off what was done after its
 * checkpoint and will be done again, so that the file stays one unbroken curve.
 */
export class MetricsFile {
  readonly #file: AppendFile;

  /** @param resume undefined for a new run, which starts the file anew. */
  constructor(path: string, resume: ResumePoint | undefined) {
    if (existsSync(path)) cut(path, resume);
    this.#file = new AppendFile(path);
  }

  write(event: TrainEvent): void {
    this.#file.append(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
  }

  sync(): void {
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

function cut(path: string, resume: ResumePoint | undefined): void {
  typedWriteSync(`writing ${path}`, GPT2Error, () => {
    truncateSync(path, resume ? lengthKept(readFileSync(path), resume) : 0);
  });
}

const NEWLINE = 10;

/** Bytes before the first line that will be written again, or that a kill cut short. */
function lengthKept(bytes: Uint8Array, resume: ResumePoint): number {
  const decoder = new TextDecoder();
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0 || !isKept(decoder.decode(bytes.subarray(start, end)), resume)) return start;
    start = end + 1;
  }
  return bytes.length;
}

function isKept(line: string, { step, unfinished }: ResumePoint): boolean {
  try {
    const event = JSON.parse(line) as Partial<TrainEvent>;
    if (typeof event.step !== "number" || event.step > step) return false;
    return !(unfinished && event.step === step && (event.type === "validation" || event.type === "sample"));
  } catch {
    return false;
  }
}
