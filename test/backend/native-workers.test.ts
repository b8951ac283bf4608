import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { packageFile } from "../../src/util/package-root.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();
const skip = typeof native === "string" ? native : process.platform === "linux" ? false : "looks into /proc";

/** A worker that loads a model on 3 threads and ends, is terminated during a run, or waits for its termination. */
const SOURCE = `
  const { parentPort, workerData } = require("node:worker_threads");
  (async () => {
    const { GPT2 } = await import(workerData.gpt2);
    const model = await GPT2.load(workerData.path, { backend: "native", threads: 3 });
    await model.logits([1, 2, 3]);
    if (workerData.how === "dispose") await model.dispose();
    if (workerData.how === "run") (async () => { for (;;) await model.logits(new Array(64).fill(1)); })();
    if (workerData.how !== "return") setInterval(() => {}, 1000);
    parentPort.postMessage("loaded");
  })();`;

const gpt2 = new URL("../../src/gpt2.js", import.meta.url).href;
const path = packageFile("test/fixtures/tiny");

async function runWorker(how: "return" | "dispose" | "run" | "wait"): Promise<void> {
  const worker = new Worker(SOURCE, { eval: true, workerData: { gpt2, path, how } });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  if (how === "run") await new Promise((resolve) => setTimeout(resolve, 20));
  if (how !== "return") await worker.terminate();
  await ended;
}

const look = () => ({
  threads: readdirSync("/proc/self/task").length,
  mappings: readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => line.includes("fixtures/tiny")).length,
});

describe("a worker that ends", { skip }, () => {
  for (const how of ["return", "dispose", "wait", "run"] as const) {
    const end = { return: "at its end", dispose: "after dispose", wait: "terminated", run: "terminated during a run" }[
      how
    ];
    it(`releases its teams and mapped files, ${end}`, {
      skip: how !== "run" && LIKE_OTHERS,
    }, async () => {
      await runWorker(how);
      const before = look();
      for (let i = 0; i < (TESTING_ALL ? 3 : 1); i++) await runWorker(how);
      const after = look();
      assert.ok(after.threads <= before.threads, `${after.threads} threads, ${before.threads} before`);
      assert.equal(after.mappings, 0);
    });
  }
});
