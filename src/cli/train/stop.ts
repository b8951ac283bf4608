import type { TrainReporter } from "./reporter.js";

/**
 * Runs a training that Ctrl-C or SIGTERM ends after the pass at hand; the exit status is then 130 or 143, as shells have it.
 * Once more quits at once.
 */
export async function stoppable(reporter: TrainReporter, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    process.exitCode = signal === "SIGINT" ? 130 : 143;
    if (stop.signal.aborted) process.exit();
    reporter.notice("Stopping after this pass and saving a checkpoint (once more to quit at once)");
    stop.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    await run(stop.signal);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    reporter.close();
  }
}
