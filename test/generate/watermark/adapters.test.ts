import assert from "node:assert/strict";
import { test } from "node:test";
import { loraRanks, loraTable, loraTargets } from "../../../src/architectures/lora.js";
import { numel } from "../../../src/architectures/tensor-spec.js";
import { GPT2 } from "../../../src/gpt2.js";
import { LoadedAdapter } from "../../../src/pretrained/loaded-adapter.js";
import { RandomStream } from "../../../src/util/random.js";
import { byteTokenizer, fastestBackend, ODD, seededWeights } from "../models.js";

test("texts of a model and of its adapter, side by side, carry their own marks", async () => {
  const backend = await fastestBackend();
  const ranks = loraRanks(ODD, loraTargets({ architecture: "gpt2" }), 3);
  const tensors = new Map(
    loraTable(ODD, ranks).map(({ name, shape }, i) => {
      const random = new RandomStream(1, i);
      const array = backend.alloc("f32", numel(shape));
      array.write(Float32Array.from({ length: numel(shape) }, () => 0.3 * random.normal()));
      return [name, array];
    }),
  );
  const adapters = new Map([["other", new LoadedAdapter(backend, ranks, tensors, () => 1)]]);
  const weights = seededWeights(backend, ODD);
  const model = new GPT2({ backend, config: ODD, weights, tokenizer: byteTokenizer(), adapters });
  const options = { temperature: 1, topK: 0, maxNewTokens: 60, seed: 1 };
  const [plain, adapted] = await Promise.all([
    model.complete("ab", { ...options, adapter: null, watermark: { key: 1 } }),
    model.complete("ab", { ...options, adapter: "other", watermark: { key: 2 } }),
  ]);
  for (const [key, { tokens }] of [[1, plain] as const, [2, adapted] as const]) {
    assert.equal((await model.verifyWatermark(tokens, { key })).verdict, "found");
    assert.notEqual((await model.verifyWatermark(tokens, { key: 3 - key })).verdict, "found");
  }
  const alone = await model.complete("ab", { ...options, adapter: "other", watermark: { key: 2 } });
  assert.deepEqual(alone.tokens, adapted.tokens);
  await model.dispose();
});
