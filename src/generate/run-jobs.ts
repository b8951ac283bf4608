import type { Job } from "./job.js";
import type { Scheduler } from "./scheduler.js";

export interface RunJobsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the index of each finished job. */
  readonly onDone?: ((index: number) => void) | undefined;
}

/** Jobs submitted at once: enough to fill the scheduler's runs, few enough to find the next one quickly. */
const IN_FLIGHT = 128;

/** Runs any number of jobs, started in order. When one fails, or the signal is aborted, the others are aborted too. */
export async function runJobs(
  scheduler: Scheduler,
  jobs: readonly Job[],
  { signal, onDone }: RunJobsOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const abort = () => stop.abort(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      await scheduler.submit({ ...jobs[index]!, signal: stop.signal });
      onDone?.(index);
    }
  };
  try {
    const workers = Array.from({ length: Math.min(IN_FLIGHT, jobs.length) }, worker);
    for (const running of workers) running.catch((error) => stop.abort(error));
    await Promise.all(workers);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
