import { GPT2Error } from "../errors.js";
import { writeError } from "../util/file-errors.js";
import { note } from "./output.js";

/** Signals that end a command, with its exit status: of a closed terminal, Ctrl-C, and `kill`. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type EndingSignal = keyof typeof SIGNALS;
const BROKEN_PIPE = 141;

export interface InterruptOptions {
  /**
   * For commands that save their work before they end: called once, when they have to. They also stop when standard output fails
   * or is closed; other commands then end at once.
   */
  readonly onStop?: (() => void) | undefined;
}

/** Stops the running command like a signal, if it saves its work. */
let stopRun: ((status: number) => void) | undefined;

/**
 * Runs a command until it ends, or a signal aborts it. The exit status is then 128 + the signal's number, as in shells. A second
 * signal ends the process at once.
 */
export async function interruptible(
  run: (signal: AbortSignal) => Promise<void>,
  { onStop }: InterruptOptions = {},
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const stop = (status: number): void => {
    if (signal.aborted) return;
    process.exitCode = status;
    onStop?.();
    controller.abort();
  };
  const onSignal = (name: EndingSignal): void => {
    if (signal.aborted) process.exit(SIGNALS[name]);
    stop(SIGNALS[name]);
  };
  const names = Object.keys(SIGNALS) as EndingSignal[];
  for (const name of names) process.on(name, onSignal);
  if (onStop) stopRun = stop;
  try {
    await run(signal);
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  } finally {
    for (const name of names) process.off(name, onSignal);
    stopRun = undefined;
  }
}

/** Whether an error is the abort's reason, or wraps it, as Node and libraries do. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  for (let e = error; e instanceof Error; e = e.cause) if (e === signal.reason || e.name === "AbortError") return true;
  return error === signal.reason;
}

/**
 * Handles errors of the standard streams. If a reader ends first (`gpt2 … | head`), the command ends quietly; any other error
 * ends it with a message and status 1. A command that saves its work stops and saves it.
 */
export function handleStreamErrors(): void {
  let failed = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (failed) return;
    failed = true;
    const broken = error.code === "EPIPE";
    if (!broken) note((writeError(error, "writing to standard output", GPT2Error) as Error).message);
    if (stopRun) stopRun(broken ? BROKEN_PIPE : 1);
    else process.exit(broken ? 0 : 1);
  });
  // Nowhere to report it.
  process.stderr.on("error", () => {});
}
