/**
 * Ends this process if a piece of work does not end: an endless loop blocks the event loop, and with it every other
 * timeout. Another thread watches.
 */
import { Worker } from "node:worker_threads";

/**
 * Seconds of wall time, and of processor time: a process that was stopped for a while does not hang. The work takes
 * milliseconds.
 */
const PATIENCE = 60;

const WATCH = `
const { workerData } = require("node:worker_threads");
const { state, patience } = workerData;
for (;;) {
  const before = Atomics.load(state, 0);
  const { user } = process.cpuUsage();
  do Atomics.wait(state, 1, 0, 1000 * patience);
  while (process.cpuUsage().user - user < 1e6 * 0.5 * patience && Atomics.load(state, 0) === before);
  // Odd while work is running.
  if (before % 2 === 1 && Atomics.load(state, 0) === before) {
    require("node:fs").writeSync(2, "no end after " + patience + " seconds\\n");
    process.kill(process.pid, "SIGKILL");
  }
}`;

let state: Int32Array | undefined;

/** Runs `work`, which must end within a minute. */
export function watched<T>(work: () => T): T {
  const progress = watch();
  Atomics.add(progress, 0, 1);
  try {
    return work();
  } finally {
    Atomics.add(progress, 0, 1);
  }
}

/** {@link watched} for asynchronous work; one at a time. */
export async function watchedAsync<T>(work: () => Promise<T>): Promise<T> {
  const progress = watch();
  Atomics.add(progress, 0, 1);
  try {
    return await work();
  } finally {
    Atomics.add(progress, 0, 1);
  }
}

function watch(): Int32Array {
  if (state === undefined) {
    state = new Int32Array(new SharedArrayBuffer(8));
    new Worker(WATCH, { eval: true, workerData: { state, patience: PATIENCE } }).unref();
  }
  return state;
}
