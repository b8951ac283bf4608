import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventsOf, type Served, served } from "./client.js";

let api: Served;
before(async () => {
  api = await served();
});
after(() => api.close());

describe("POST /v1/chat/completions", () => {
  const messages = [
    { role: "system", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "Hello" }] },
  ];
  const prompt = "Be short.\n\nUser: Hello\nAssistant:";

  it("continues the plain template", async () => {
    const { json } = await api.post("/v1/chat/completions", {
      messages,
      max_tokens: 8,
      seed: 1,
      logprobs: true,
      top_logprobs: 2,
    });
    const options = { maxNewTokens: 8, seed: 1, temperature: 1, topK: 0, stop: "\nUser:" };
    const want = await api.model.complete(prompt, options);
    const [choice] = json.choices;
    assert.deepEqual(choice.message, { role: "assistant", content: want.text.trimStart(), refusal: null });
    assert.deepEqual(
      choice.logprobs.content.map(({ logprob }: { logprob: number }) => logprob),
      want.logprobs,
    );
    assert.ok(choice.logprobs.content.every((c: { top_logprobs: unknown[] }) => c.top_logprobs.length === 2));
    assert.equal(json.usage.prompt_tokens, prompt.length);
  });

  it("streams deltas: the role, the text, the end", async () => {
    const body = { messages, max_tokens: 8, seed: 1, n: 2 };
    const whole = (await api.post("/v1/chat/completions", body)).json;
    const events = eventsOf((await api.post("/v1/chat/completions", { ...body, stream: true })).text);
    assert.equal(events.pop(), "[DONE]");
    assert.ok(events.every(({ object }) => object === "chat.completion.chunk"));
    for (const { index, message, finish_reason } of whole.choices) {
      const own = events.map((event) => event.choices[0]).filter((choice) => choice.index === index);
      assert.equal(own[0].delta.role, "assistant");
      assert.equal(own.map(({ delta }) => delta.content ?? "").join(""), message.content);
      assert.equal(own.at(-1).finish_reason, finish_reason);
    }
  });

  it("continues after the tokens of a reply", async () => {
    const body = { messages, max_tokens: 10, temperature: 0, return_token_ids: true, ignore_eos: true };
    const whole = (await api.post("/v1/chat/completions", body)).json.choices[0];
    assert.equal(whole.token_ids.length, 10);
    const begun = {
      ...body,
      max_tokens: 6,
      reply_token_ids: whole.token_ids.slice(0, 4),
      logprobs: true,
      top_logprobs: 2,
    };
    const rest = (await api.post("/v1/chat/completions", begun)).json.choices[0];
    assert.deepEqual(rest.token_ids, whole.token_ids.slice(4));
    assert.deepEqual(
      rest.logprobs.content.map(({ id }: { id: number }) => id),
      rest.token_ids,
    );
    const events = eventsOf((await api.post("/v1/chat/completions", { ...begun, stream: true })).text);
    assert.deepEqual(
      events.flatMap((event) => event.choices?.[0].token_ids ?? []),
      rest.token_ids,
    );
    const wrong = await api.post("/v1/chat/completions", { ...body, reply_token_ids: [1, 999] });
    assert.deepEqual([wrong.status, wrong.json.error.param], [400, "reply_token_ids[1]"]);
  });

  it("refuses tools, formats and roles that the model does not have, by name", async () => {
    for (const [field, value] of [
      ["tools", [{ type: "function" }]],
      ["messages[0].role", undefined],
    ] as const) {
      const body = value ? { messages, [field]: value } : { messages: [{ role: "tool", content: "x" }] };
      const { status, json } = await api.post("/v1/chat/completions", body);
      assert.deepEqual([status, json.error.param], [400, field]);
    }
    assert.equal(
      (await api.post("/v1/chat/completions", { messages, max_tokens: 1, response_format: { type: "text" } })).status,
      200,
    );
  });
});

describe("POST /v1/responses", () => {
  it("responds once, and streams events with the same content", async () => {
    const body = { input: "Hello", instructions: "Be short.", max_output_tokens: 6, seed: 2 };
    const { json } = await api.post("/v1/responses", body);
    assert.equal(json.object, "response");
    const text = json.output[0].content[0].text;
    const events = eventsOf((await api.post("/v1/responses", { ...body, stream: true })).text);
    const deltas = events.filter(({ type }) => type === "response.output_text.delta");
    assert.equal(deltas.map(({ delta }) => delta).join(""), text);
    assert.deepEqual([events[0].type, events.at(-1).response.output[0].content[0].text], ["response.created", text]);
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      [...events.keys()],
    );
    assert.equal(
      (await api.post("/v1/responses", { ...body, previous_response_id: "resp-1" })).json.error.param,
      "previous_response_id",
    );
  });
});

describe("whole texts", () => {
  it("POST /v1/embeddings: the library's vectors, as numbers or base64", async () => {
    const input = ["A cat", "A dog"];
    const want = await api.model.embed(input);
    const floats = (await api.post("/v1/embeddings", { input })).json.data;
    const packed = (await api.post("/v1/embeddings", { input, encoding_format: "base64" })).json.data;
    for (const [i, vector] of want.entries()) {
      assert.deepEqual(floats[i].embedding, [...vector]);
      const bytes = Buffer.from(packed[i].embedding, "base64");
      assert.deepEqual(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)), vector);
    }
    assert.equal((await api.post("/v1/embeddings", { input: "" })).json.error.param, "input");
    assert.equal(
      (await api.post("/v1/embeddings", { input: ["x".repeat(97)] })).json.error.code,
      "context_length_exceeded",
    );
  });

  it("POST /v1/score: cosines, and log-probabilities", async () => {
    const [a, b] = await api.model.embed(["A cat", "A dog"]);
    const { data } = (await api.post("/v1/score", { text_1: "A cat", text_2: ["A dog", "A cat"] })).json;
    assert.ok(Math.abs(data[0].score - a!.reduce((sum, x, i) => sum + x * b![i]!, 0)) < 1e-6);
    assert.ok(Math.abs(data[1].score - 1) < 1e-6);
    const requests = [{ context: "A cat", continuation: " sat" }];
    const [want] = await api.model.logLikelihoods(requests);
    const scored = await api.post("/v1/score", { text_1: "A cat", text_2: " sat", kind: "logprob" });
    assert.equal(scored.json.data[0].score, want!.logprob);
  });

  it("POST /v1/classify refuses a model without labels", async () => {
    assert.equal((await api.post("/v1/classify", { input: "x" })).status, 400);
  });

  it("POST /tokenize, /detokenize and GET /tokenizer_info: all that the evaluation harness needs, without a hub", async () => {
    const info = (await api.get("/tokenizer_info")).json;
    assert.equal(info.eos_token, "<|endoftext|>");
    const { tokens } = (await api.post("/tokenize", { prompt: `hi${info.eos_token}`, add_special_tokens: false })).json;
    assert.equal(tokens.at(-1), 256);
    assert.equal((await api.post("/detokenize", { tokens: tokens.slice(0, -1) })).json.prompt, "hi");
    assert.equal((await api.post("/detokenize", { tokens: [999] })).json.error.param, "tokens[0]");
  });
});

describe("information about the server", () => {
  it("models, health, readiness, slots without text, metrics, the document", async () => {
    assert.equal((await api.get("/v1/models")).json.data[0].id, "tiny");
    assert.equal((await api.get("/v1/models/tiny")).json.max_model_len, 96);
    assert.equal((await api.get("/v1/models/other")).status, 404);
    assert.equal((await api.get("/health")).json.status, "ok");
    assert.equal((await api.get("/ready")).json.status, "ready");
    for (const slot of (await api.get("/slots")).json)
      assert.deepEqual(Object.keys(slot), ["id", "busy", "tokens", "shared"]);
    const metrics = (await api.get("/metrics")).text;
    assert.match(metrics, /^gpt2_time_to_first_token_seconds_bucket\{le="\+Inf"\} [1-9]/m);
    assert.match(metrics, /^gpt2_requests_total\{path="\/v1\/embeddings",status="200"\} 2$/m);
    const { paths } = (await api.get("/openapi.json")).json;
    const { properties } = paths["/v1/completions"].post.requestBody.content["application/json"].schema;
    assert.deepEqual([properties.n.maximum, properties.n.default, properties.max_tokens.default], [128, 1, 16]);
    const asked = [
      "/",
      "/health",
      "/ready",
      "/metrics",
      "/version",
      "/openapi.json",
      "/v1/models/{model}",
      "/tokenize",
    ];
    for (const path of asked) assert.ok(paths[path], path);
    assert.deepEqual([paths["/health"].get.security, paths["/slots"].get.security], [[], undefined]);
    assert.deepEqual(paths["/v1/chat/completions"].post.requestBody.content["application/json"].schema.required, [
      "messages",
    ]);
  });

  it("an id for each request: the caller's own if it is plain", async () => {
    assert.equal((await api.get("/health", { "x-request-id": "mine-1" })).headers.get("x-request-id"), "mine-1");
    for (const id of ["<b>", "x".repeat(129)]) {
      assert.match((await api.get("/health", { "x-request-id": id })).headers.get("x-request-id")!, /^req-/);
    }
  });

  it("a page at /, which may load nothing", async () => {
    const page = await api.get("/");
    assert.match(page.headers.get("content-type")!, /^text\/html/);
    assert.match(page.headers.get("content-security-policy")!, /default-src 'none'/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("cross-origin-resource-policy"), "same-origin");
  });
});
