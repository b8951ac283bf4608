/** Weights that hold NaN: an error wherever probabilities are wanted, on every backend. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GPT2Error } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { backends, byteTokenizer, ODD, seededWeights } from "./models.js";

for (const backend of await backends()) {
  test(`scores of NaN are an error: ${backend.name}`, async () => {
    const weights = seededWeights(backend, ODD);
    const table = weights.get("wte.weight") ?? [...weights.values()][0]!;
    table.write(new Float32Array(table.length).fill(Number.NaN));
    await using model = new GPT2({ backend, config: ODD, weights, tokenizer: byteTokenizer() });
    const isTyped = (error: unknown) =>
      error instanceof GPT2Error && /expected finite logits, got NaN\. The weights may be damaged/.test(error.message);
    await assert.rejects(model.score("a"), isTyped);
    await assert.rejects(model.logLikelihoods([{ context: "a", continuation: "b" }]), isTyped);
    await assert.rejects(model.choose("a", ["b", "c"]), isTyped);
    await assert.rejects(model.complete("a"), isTyped);
  });
}
