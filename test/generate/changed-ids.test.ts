import assert from "node:assert/strict";
import { it } from "node:test";
import { GPT2 } from "../../src/index.js";

it("logits are those of the ids at the time of the call", async () => {
  const model = await GPT2.load();
  const want = await model.logits([5, 6, 7]);
  for (const other of [8, 2 ** 30, -1]) {
    const ids = Int32Array.of(5, 6, 7);
    const logits = model.logits(ids);
    ids.fill(other);
    assert.deepEqual(await logits, want);
  }
  await model.dispose();
});
