import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { AppendFile } from "./append-file.js";
import type { TrainEvent } from "./events.js";
import { restartRecord, scalarsRecord, textRecord, versionRecord } from "./tensorboard.js";

/**
 * A run's curves and samples for TensorBoard. Every start of a run makes a new file. Its first record makes readers discard later
 * steps of earlier files.
 */
export class TensorBoardFile {
  readonly #file: AppendFile;

  /** @param step optimizer steps done before */
  constructor(folder: string, step: number) {
    this.#file = new AppendFile(newName(folder), "wx");
    this.#file.append(versionRecord(now()));
    this.#file.append(restartRecord(now(), step + 1));
  }

  write(event: TrainEvent): void {
    const record = encode(event);
    if (record) this.#file.append(record);
  }

  sync(): void {
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

const now = (): number => Date.now() / 1000;

/** Readers find files by `tfevents`, and read them in the order of their names. */
function newName(folder: string): string {
  const time = String(Math.floor(now())).padStart(10, "0");
  const name = (n: number) => join(folder, `events.out.tfevents.${time}.${n}.${hostname()}`);
  let n = 0;
  while (existsSync(name(n))) n++;
  return name(n);
}

function encode(event: TrainEvent): Uint8Array | undefined {
  switch (event.type) {
    case "step":
      return scalarsRecord(now(), event.step, {
        "loss/train": event.loss,
        lr: event.lr,
        grad_norm: event.gradNorm,
        tokens_per_second: event.tokensPerSecond,
        ...(event.utilization !== undefined && { utilization: event.utilization }),
      });
    case "validation":
      return scalarsRecord(now(), event.step, {
        "loss/validation": event.loss,
        ...(event.bitsPerByte !== undefined && { bits_per_byte: event.bitsPerByte }),
      });
    case "sample":
      // Indented, so that TensorBoard's Markdown shows it as code, with its line breaks.
      return textRecord(now(), event.step, "sample", `    ${event.text.replaceAll("\n", "\n    ")}`);
    default:
      return undefined;
  }
}
