import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loraRanks, loraTable } from "../../src/architectures/lora.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { saveAdapter } from "../../src/pretrained/node.js";
import { RandomStream } from "../../src/util/random.js";
import { assertClose } from "../helpers/compare.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { CONFIG, eventsOf, type Served, served } from "./client.js";

const NAMES = ["poems", "letters"];
const dir = mkdtempSync(join(tmpdir(), "gpt2-serve-adapters-"));
let api: Served;

before(async () => {
  api = await served();
  const targets = ["attn.c_attn", "mlp.c_fc"] as const;
  const ranks = loraRanks(CONFIG, targets, 3);
  for (const [seed, name] of NAMES.entries()) {
    const tensors = new Map(
      loraTable(CONFIG, ranks).map(({ name: tensor, shape }, i) => {
        const random = new RandomStream(seed, i);
        return [tensor, Float32Array.from({ length: numel(shape) }, () => 0.4 * random.normal())];
      }),
    );
    const settings = { rank: 3, alpha: 6, rankStabilized: false, dropout: 0, baseModel: undefined };
    await saveAdapter(join(dir, name), { config: CONFIG, ...settings, targets, ranks, tensors });
    await api.model.loadAdapter(name, join(dir, name));
  }
});
after(async () => {
  await api.close();
  rmSync(dir, { recursive: true });
});

describe("adapters as models", () => {
  const body = { prompt: "Once upon a time", max_tokens: 8, temperature: 0, logprobs: 1, ignore_eos: true };
  const complete = async (model: string, more = {}) =>
    (await api.post("/v1/completions", { ...body, model, ...more })).json;

  it("are listed beside the base model", async () => {
    const { json } = await api.get("/v1/models");
    assert.deepEqual(
      json.data.map(({ id }: { id: string }) => id),
      ["tiny", ...NAMES],
    );
  });

  it("answer as the library does with them, in the same runs, each under its own name", {
    skip: LIKE_OTHERS,
  }, async () => {
    const models = ["tiny", ...NAMES];
    const together = await Promise.all(models.map((model) => complete(model)));
    const options = { maxNewTokens: 8, temperature: 0, stopAtEndOfText: false };
    for (const [i, model] of models.entries()) {
      const adapter = model === "tiny" ? null : model;
      const want = await api.model.complete(body.prompt, { ...options, adapter });
      assert.equal(together[i].model, model);
      assert.equal(together[i].choices[0].text, want.text);
      // The reference backend rounds the sum that an adapter is added to; the others give the same bits.
      assertClose(model, together[i].choices[0].logprobs.token_logprobs, want.logprobs, { relative: 1e-6 });
    }
    const first = together.map(({ choices }) => choices[0].logprobs.token_logprobs[0]);
    assert.equal(new Set(first).size, models.length, "each changes the model");
  });

  it("share no cached prompt with the base model or each other", async () => {
    const long = { prompt: "The same long prompt, of forty tokens or more.", echo: true };
    const cold = await complete(NAMES[0]!, long);
    await complete("tiny", long);
    await complete(NAMES[1]!, long);
    assert.deepEqual((await complete(NAMES[0]!, long)).choices, cold.choices);
  });

  it("stream, chat and embed too; a name that is none is a 404", async () => {
    const events = eventsOf((await api.post("/v1/completions", { ...body, model: NAMES[1], stream: true })).text);
    assert.ok(events.slice(0, -1).every(({ model }) => model === NAMES[1]));
    const messages = [{ role: "user", content: "Hi" }];
    const chat = await api.post("/v1/chat/completions", { model: NAMES[0], messages, max_tokens: 2 });
    assert.deepEqual([chat.status, chat.json.model], [200, NAMES[0]]);
    const vectors = await Promise.all(
      ["tiny", NAMES[0]].map(async (model) => (await api.post("/v1/embeddings", { model, input: "Hi" })).json.data[0]),
    );
    assert.notDeepEqual(vectors[0].embedding, vectors[1].embedding);
    const missing = await api.post("/v1/completions", { ...body, model: "prose" });
    assert.deepEqual([missing.status, missing.json.error.code], [404, "model_not_found"]);
  });
});
