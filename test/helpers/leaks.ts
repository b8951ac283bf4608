import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * V8 gives its young generation and compiled code more room as a program goes on, and the C library keeps what is freed:
 * switched off, so that what grows is what leaks.
 */
const FLAGS = ["--expose-gc", "--max-semi-space-size=1", "--no-opt", "--no-sparkplug", "--no-lazy-feedback-allocation"];
const MALLOC = { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "65536", MALLOC_TOP_PAD_: "65536" };

/** Makes and disposes of models in a process of its own; it must end within 5% of its memory after the first ten. */
export async function assertNoLeak(backend: "native" | "wasm", models: number, sharing: "own" | "shared") {
  const script = fileURLToPath(new URL("leak-process.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...FLAGS, script, backend, `${models}`, sharing], {
    env: { ...process.env, ...MALLOC },
  });
  const [first, last] = JSON.parse(stdout) as [number, number];
  assert.ok(last <= 1.05 * first, `${first.toFixed(1)} MB after 10 models, ${last.toFixed(1)} MB after ${models}`);
}
