import assert from "node:assert/strict";
import { test } from "node:test";
import { byteModel, fastestBackend } from "./models.js";

const requests = Array.from({ length: 40 }, (_, i) => ({ context: `${i}`, continuation: " of 40" }));

test("many requests under one signal leave no listener behind, and Node sees no leak", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  const model = byteModel(await fastestBackend());
  const { signal } = new AbortController();
  await model.logLikelihoods(requests, { signal });
  // Warnings are emitted in a later turn.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", onWarning);
  assert.deepEqual(warnings, []);
});

test("an abort rejects the whole call with the signal's reason", async () => {
  const model = byteModel(await fastestBackend());
  const controller = new AbortController();
  const reason = new Error("enough");
  const onProgress = () => controller.abort(reason);
  await assert.rejects(model.logLikelihoods(requests, { signal: controller.signal, onProgress }), reason);
});
