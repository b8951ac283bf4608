import { existsSync, readFileSync, truncateSync } from "node:fs";
import { GPT2Error } from "../errors.js";
import { typedWriteSync } from "../util/file-errors.js";
import { AppendFile } from "./append-file.js";
import type { TrainEvent } from "./events.js";

/** The point at which a run is resumed. */
export interface ResumePoint {
  /** Optimizer steps done. */
  readonly step: number;
  /** Whether the validation or sample of that step is still due. */
  readonly unfinished: boolean;
}

/**
 * metrics.jsonl: a line of JSON for every event of a run. A resumed run first removes the events after its checkpoint, whose
 * steps it repeats, so the file stays one unbroken curve.
 */
export class MetricsFile {
  /** Step of the last remaining checkpoint event. */
  readonly lastCheckpoint: number | undefined;
  readonly #file: AppendFile;

  /** @param resume undefined for a new run, which starts a new file. */
  constructor(path: string, resume: ResumePoint | undefined) {
    this.lastCheckpoint = existsSync(path) ? cut(path, resume) : undefined;
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

/** Removes the events of steps that will be repeated. Returns the step of the last checkpoint before them. */
function cut(path: string, resume: ResumePoint | undefined): number | undefined {
  return typedWriteSync(`writing ${path}`, GPT2Error, () => {
    const { length, lastCheckpoint } = resume ? keptPart(readFileSync(path), resume) : NOTHING;
    truncateSync(path, length);
    return lastCheckpoint;
  });
}

interface Kept {
  /** Bytes. */
  readonly length: number;
  readonly lastCheckpoint: number | undefined;
}

const NOTHING: Kept = { length: 0, lastCheckpoint: undefined };
const NEWLINE = 10;

/** The lines before the first one that will be written again, or that a kill truncated. */
function keptPart(bytes: Uint8Array, resume: ResumePoint): Kept {
  const decoder = new TextDecoder();
  let lastCheckpoint: number | undefined;
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    const event = end < 0 ? undefined : parseEvent(decoder.decode(bytes.subarray(start, end)));
    if (event === undefined || !isKept(event, resume)) return { length: start, lastCheckpoint };
    if (event.type === "checkpoint") lastCheckpoint = event.step;
    start = end + 1;
  }
  return { length: bytes.length, lastCheckpoint };
}

type LoggedEvent = Pick<TrainEvent, "type" | "step">;

function parseEvent(line: string): LoggedEvent | undefined {
  try {
    const event = JSON.parse(line) as Partial<LoggedEvent> | null;
    return typeof event?.step === "number" ? (event as LoggedEvent) : undefined;
  } catch {
    return undefined;
  }
}

function isKept(event: LoggedEvent, { step, unfinished }: ResumePoint): boolean {
  if (event.step > step) return false;
  return !(unfinished && event.step === step && (event.type === "validation" || event.type === "sample"));
}
