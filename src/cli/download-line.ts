import type { DownloadEvent } from "../hub/node.js";
import { formatBytes, formatDuration, type Progress, progress } from "../util/progress.js";

/** Shows downloads on stderr: a progress line for each file on a terminal, and everywhere what should be known. */
export interface DownloadLine {
  readonly onDownload: (event: DownloadEvent) => void;
  /** Takes the line away; to be called however it ends. */
  end(): void;
}

/** @param mode of the progress line: `plain` also where there is no terminal. */
export function downloadLine(mode: "auto" | "plain" = "auto"): DownloadLine {
  let line: Progress | undefined;
  const end = (message?: string): void => {
    line?.done(message);
    line = undefined;
  };
  const onDownload = (event: DownloadEvent): void => {
    if (event.type === "file") {
      end();
      line = progress({ label: event.file, total: event.size, unit: "B", start: event.resumedFrom, mode });
    } else if (event.type === "bytes") line?.update(event.received);
    // On a terminal files come and go; a log keeps what came.
    else if (event.type === "done") end(mode === "plain" ? `${event.file}  ${formatBytes(event.size)}` : undefined);
    else {
      line?.clear();
      process.stderr.write(`gpt2: ${noteOf(event)}\n`);
    }
  };
  return { onDownload, end: () => end() };
}

function noteOf(event: Extract<DownloadEvent, { type: "wait" | "notice" }>): string {
  if (event.type === "notice") return event.message;
  if (event.seconds === undefined) return `${event.file}: waiting, ${event.message}`;
  const when = event.seconds < 1 ? "at once" : `in ${formatDuration(event.seconds)}`;
  return `${event.file}: ${event.message}; trying again ${when}`;
}
