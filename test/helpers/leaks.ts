import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * V8 gives its young generation and compiled code more room as a program runs; fixed here, so that growth means a leak.
 */
const FLAGS = ["--expose-gc", "--max-semi-space-size=1", "--no-opt", "--no-sparkplug", "--no-lazy-feedback-allocation"];

/** Makes and disposes of models in a new process, which must end within 5% of its memory after the first ten. */
export async function assertNoLeak(backend: "native" | "wasm", models: number, sharing: "own" | "shared") {
  const script = fileURLToPath(new URL("leak-process.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...FLAGS, script, backend, `${models}`, sharing], {
    // One heap for all threads, in the C library of Linux.
    env: { ...process.env, MALLOC_ARENA_MAX: "1" },
  });
  const [first, last] = JSON.parse(stdout) as [number, number];
  assert.ok(last <= 1.05 * first, `${first.toFixed(1)} MB after 10 models, ${last.toFixed(1)} MB after ${models}`);
}
